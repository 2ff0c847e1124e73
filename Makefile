# Every target works on a bare machine with Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint bench bench-drivers bench-quality cookbook lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)  # simulate a shop, build, train, score, print
	$(BIN)/clv demo

test: $(READY) lint  # what CI runs
	$(BIN)/pytest

lint: $(READY)
	$(BIN)/ruff check clv_ml tests benchmarks
	$(BIN)/ruff format --check clv_ml tests benchmarks
	$(BIN)/pyrefly check

bench: $(READY)  # speed of scoring, as ratios measured in one run
	$(BIN)/python benchmarks/scoring.py

bench-drivers: $(READY)  # speed of explaining everybody, beside two other engines
	$(BIN)/python benchmarks/drivers.py

bench-quality: $(READY)  # backtests on every data set that is there, as tables
	$(BIN)/python benchmarks/quality.py

cookbook: $(READY)  # writes docs/cookbook.md from the analyses
	$(BIN)/python tests/cookbook.py

lock:  # needs uv; everything else needs only pip
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	    --no-strip-extras --no-emit-index-url --no-annotate --no-header --upgrade --quiet -o requirements.lock
