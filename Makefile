# Every target works on a bare machine with Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-long coverage test-spark test-spark-full test-spark-cluster test-spark-parity test-duckdb-1.5 test-dbt-1.12 lint bench bench-drivers bench-quality soak sim audit docs pictures lock

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY)  # simulate a shop, build, train, score, print
	$(BIN)/clv demo

test: $(READY) lint  # in an order of its own each time, which is printed
	$(BIN)/pytest --numprocesses auto --dist worksteal

test-long: $(READY)  # what takes minutes and says little that `make test` does not; CI runs both
	$(BIN)/pytest --numprocesses auto --dist worksteal -m long

coverage: $(READY)  # the lines and branches of clv_ml that `make test` runs
	$(BIN)/pytest --numprocesses auto --dist worksteal --cov=clv_ml --cov-branch

# Spark has an environment of its own: its packages are large and nobody else needs them.
SPARK := .venv-spark

$(SPARK)/.ready: requirements-spark.lock pyproject.toml
	$(PYTHON) -m venv $(SPARK)
	$(SPARK)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-spark.lock
	$(SPARK)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

test-spark: $(SPARK)/.ready  # the same models on Spark in local mode; needs Java 17
	$(SPARK)/bin/pytest -m spark

test-spark-full: $(SPARK)/.ready  # and the long ones: training there, leakage, tiny shops, every dbt test
	$(SPARK)/bin/pytest -m "spark or spark_full"

test-spark-cluster: $(SPARK)/.ready  # and on a master with two workers that the test starts
	$(SPARK)/bin/pytest -m cluster

test-spark-parity: $(SPARK)/.ready  # and whole shops cell by cell, locally and on a cluster; hours
	$(SPARK)/bin/pytest -m parity -s --durations=0

# So have the libraries that `make bench` compares with.
BENCH := .venv-bench

$(BENCH)/.ready: requirements-bench.lock pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-bench.lock
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

OLDER := .venv-duckdb-1.5

$(OLDER)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(OLDER)
	$(OLDER)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(OLDER)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(OLDER)/bin/pip install --quiet --disable-pip-version-check "duckdb>=1.5.5,<1.6"
	@touch $@

test-duckdb-1.5: $(OLDER)/.ready  # the main tests on the DuckDB before the locked one
	$(OLDER)/bin/pytest --numprocesses auto --dist worksteal

NEWER := .venv-dbt-1.12

# dbt-core 1.12 depends on a parser that downloads while it is built; dbt works without it, so it is installed around it.
$(NEWER)/.ready: requirements.lock requirements-dbt-1.12.txt pyproject.toml
	$(PYTHON) -m venv $(NEWER)
	$(NEWER)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(NEWER)/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements-dbt-1.12.txt
	$(NEWER)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

MAIN_TESTS := tests/test_own_project.py tests/test_pipeline.py tests/test_scoring_in_sql.py tests/test_marts.py tests/test_freshness.py tests/test_publication.py

test-dbt-1.12: $(NEWER)/.ready  # the main tests on the dbt-core after the locked one
	$(NEWER)/bin/pytest --numprocesses auto --dist worksteal $(MAIN_TESTS)
	$(NEWER)/bin/pytest --numprocesses auto --dist worksteal -m long tests/test_own_project.py

lint: $(READY)
	$(BIN)/ruff check clv_ml tests benchmarks setup.py
	$(BIN)/ruff format --check clv_ml tests benchmarks setup.py
	$(BIN)/sqlfmt --check --quiet models_sql dbt_project
	$(BIN)/pyrefly check

bench: $(BENCH)/.ready  # side by side with what people use today; writes benchmarks/README.md
	$(BENCH)/bin/python benchmarks/contest.py

bench-drivers: $(READY)  # speed of explaining everybody in SQL
	$(BIN)/python benchmarks/drivers.py

bench-quality: $(READY)  # backtests on every data set that is there, as tables
	$(BIN)/python benchmarks/quality.py

docs: $(READY)  # writes docs/reference, docs/how-to/cookbook.md and the list of ARCHITECTURE.md from the code
	$(BIN)/python tests/reference.py

pictures: $(READY)  # writes pictures of the demo's report to docs/pictures; needs Chromium
	$(BIN)/python tests/pictures.py

soak: $(READY)  # kills, bad feeds, readers, repeats, tampering, erasure: hours, and a table at the end
	$(BIN)/python benchmarks/soak.py

SEED ?= 0

sim: $(READY)  # one life of a shop by seed: make sim SEED=7; `make soak` lives many
	$(BIN)/python benchmarks/soak.py lives --seed $(SEED)

audit: $(READY)  # what is installed, against the lock; works offline
	$(BIN)/python tests/audit.py

lock:  # needs uv; everything else needs only pip
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
	    --no-strip-extras --no-emit-index-url --no-annotate --no-header --upgrade --quiet \
	    -c constraints.txt -o requirements.lock
	uv pip compile pyproject.toml --extra spark --group dev --universal --python-version 3.11 --generate-hashes \
	    --no-strip-extras --no-emit-index-url --no-annotate --no-header --upgrade --quiet -c requirements.lock \
	    -o requirements-spark.lock
	uv pip compile pyproject.toml --group dev --group bench --universal --python-version 3.11 --generate-hashes \
	    --no-strip-extras --no-emit-index-url --no-annotate --no-header --upgrade --quiet -c requirements.lock \
	    -o requirements-bench.lock
