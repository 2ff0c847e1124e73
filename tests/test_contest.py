"""`make bench`: that it still runs, at tiny sizes and in this process; never how fast anything is."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import contest_drivers
import contest_features
import contest_runs
import contest_scoring
import duckdb
import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest
from contest import WORKS, section
from contest_notebook import features_of
from contest_page import page
from contest_runs import Contender, Mark, Run, Work, contest, measured, missing, to_leave_out

from clv_ml.settings import Settings


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 400 orders, as every contender of the features but ours wants them."""
    folder = tmp_path_factory.mktemp("contest")
    contest_features.prepare_for_others(folder, 400)
    return folder


@pytest.mark.long
def test_our_features_are_those_of_a_query_written_by_hand(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    Every column has the same mean over customers. Both sum doubles, in other orders: one in a million.
    """
    monkeypatch.chdir(project)
    contest_features.prepare(tmp_path, 400)

    ours, by_hand = (
        measured(contender, tmp_path).figures for contender in contest_features.WORK.contenders[:2]
    )

    assert ours["rows"] == 40
    assert by_hand == pytest.approx(ours, rel=1e-6)


@pytest.mark.parametrize("contender", contest_features.WORK.contenders[2:], ids=lambda one: one.name)
def test_other_libraries_compute_the_same_features(orders: Path, contender: Contender):
    """
    What another library computes too is the same, as far as it is installed: one in a million.
    """
    if missing(contender):
        pytest.skip(f"not installed: {', '.join(missing(contender))}")
    by_hand = measured(contest_features.WORK.contenders[1], orders).figures

    found = measured(contender, orders).figures

    shared = found.keys() & by_hand.keys()
    assert {name: found[name] for name in shared} == pytest.approx(
        {name: by_hand[name] for name in shared}, rel=1e-6
    )


@pytest.mark.parametrize("contender", contest_drivers.WORK.contenders, ids=lambda one: one.name)
def test_drivers_are_those_of_lightgbm(contender: Contender, tmp_path: Path):
    """
    Every engine that is installed gives the SHAP values of a small booster; woodelf has single precision.
    """
    if missing(contender):
        pytest.skip(f"not installed: {', '.join(missing(contender))}")
    rows = np.random.default_rng(1).normal(size=(200, 40))
    booster = lgb.train({"verbose": -1, "num_leaves": 4}, lgb.Dataset(rows, rows[:, 0] + rows[:, 1] ** 2), 5)
    booster.save_model(tmp_path / "booster.txt")
    np.save(tmp_path / "rows.npy", rows)

    found = measured(contender, tmp_path).figures

    oracle = np.asarray(booster.predict(rows, pred_contrib=True))[: contest_drivers.NAMED, :40]
    assert found == pytest.approx({"rows": 200, "size": np.abs(oracle).mean()}, rel=1e-5)


def test_scores_in_sql_are_those_of_onnx_runtime_on_a_matrix(
    trained: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """
    The same graph, called twice: rounding by batches only.
    """
    monkeypatch.setattr(contest_scoring, "settings_of", lambda folder: trained)
    monkeypatch.setattr(contest_scoring, "CALLS", 20)
    with duckdb.connect(tmp_path / "rows.duckdb") as connection:
        contest_scoring.fill(connection, contest_scoring.champion(trained), 600)

    ours, trees, runtime = (measured(one, tmp_path).figures for one in contest_scoring.WORK.contenders)
    together = [measured(one, tmp_path).figures for one in contest_scoring.ONE_BY_ONE.contenders]

    assert ours == pytest.approx(runtime, rel=1e-9)
    assert trees["rows"] == ours["rows"] == 600
    assert [one["rows"] for one in together] == [20] * 2


def test_features_of_the_notebook_see_nothing_of_later_days():
    """
    An order on the date and after it changes no feature: the notebook is a fair opponent.
    """
    day = pd.Timestamp("2024-06-01")
    known = pd.DataFrame(
        {
            "customer_id": ["a", "a", "b"],
            "order_id": ["1", "2", "3"],
            "at": pd.to_datetime(["2024-01-01", "2024-03-01", "2024-05-31"]),
            "amount": [10.0, 20.0, 5.0],
            "lines": [1, 2, 1],
            "is_refund": False,
        }
    )
    later = known.assign(at=day, order_id=["4", "5", "6"], customer_id=["a", "b", "c"])

    found = features_of(pd.concat([known, later]), day)

    pd.testing.assert_frame_equal(found, features_of(known, day))
    assert found.loc["a", ["revenue", "gap_mean", "orders_90d"]].to_list() == [30, 60, 0]


def _work(marks: tuple[Mark, ...] = (), answer: float = 1.0) -> Work:
    """Work of two contenders and one that needs a library which nobody has."""

    def steps(value: float) -> Callable[[Path], Iterator[dict[str, float]]]:
        return lambda folder: iter([{}, {}, {"answer": value}])

    return Work(
        key="adding",
        title="Adding",
        about="Adds.",
        unit="numbers",
        sizes=(10, 100),
        prepare=lambda folder, size: None,
        contenders=(
            Contender("ours", steps(1.0)),
            Contender("another", steps(answer)),
            Contender("absent", steps(1.0), ("no_such_library",)),
        ),
        marks=marks,
        equal=("answer",),
    )


def _found(work: Work, tmp_path: Path, seconds: dict[str, float]) -> dict:
    """The contest at a size, each contender taking its seconds."""

    def run(contender: Contender) -> Run:
        return Run(seconds[contender.name], 1.0, 50.0, measured(contender, tmp_path).figures)

    return contest(work, 10, tmp_path, to_leave_out(work, 10, None), run)


def test_page_says_medians_ratios_and_what_fell_short(tmp_path: Path):
    """
    A contender that takes half our time is at .50, and its mark of 2 was missed; who is absent is named.
    """
    work = _work(marks=(Mark("another", 2),))
    found = _found(work, tmp_path, {"ours": 3.0, "another": 1.5})

    text = page([work], [(work, [found])])

    assert "| 10 | another | 5 | 1.50 (1.50 to 1.50) | 0.50 | 1.00 | 1.00 | 50 |" in text
    assert "another takes 0.50 times our time; to be reached is 2." in text
    assert "- absent at 10: not installed: no_such_library." in text


def test_peak_that_is_not_known_is_not_made_up(tmp_path: Path):
    """
    The page says that memory was not measured, instead of a figure, and how few runs one is from.
    """
    found = _found(_work(), tmp_path, {"ours": 1.0, "another": 1.0})
    for run in found["runs"]["ours"]:
        run["peak_mb"] = None
    for run in found["runs"]["another"][:3]:
        run["peak_mb"] = None

    text = page([_work()], [(_work(), [found])])

    ours, another = [line for line in text.splitlines() if line.startswith("| 10 | ")]
    assert ours.endswith("| 1.00 | not measured |")
    assert another.endswith("| 1.00 | 50 (2 of 5 runs) |")


def test_section_that_was_not_run_is_named(tmp_path: Path):
    """
    The page of a run of some sections says which others are missing.
    """
    works = [section(key) for key in WORKS]

    text = page(works, [])

    assert [line for line in text.splitlines() if line.endswith(": not run.")] == [
        f"- {work.title}: not run." for work in works
    ]


def test_contender_with_another_answer_stops_the_run(tmp_path: Path):
    """
    Speed alone proves nothing.
    """
    with pytest.raises(AssertionError, match=r"another has answer 2\.0, we have 1\.0"):
        _found(_work(answer=2.0), tmp_path, {"ours": 1.0, "another": 1.0})


def test_who_would_take_too_long_is_left_out_at_the_next_sizes(tmp_path: Path):
    """
    A minute at ten is ten minutes at a hundred, above the limit; and so at every size after.
    """
    work = _work()
    found = _found(work, tmp_path, {"ours": 1.0, "another": 60.0})

    left_out = to_leave_out(work, 100, found)
    again = to_leave_out(work, 1000, {**found, "size": 100, "left_out": left_out, "runs": {}})

    assert left_out["another"] == "would take about 10 minutes a run"
    assert again == left_out


def test_peak_of_memory_is_the_childs_own():
    """
    A large parent does not show in its child's peak: Linux hands ``ru_maxrss`` on to whatever is started.
    """
    large = b"x" * 300_000_000

    found = subprocess.run(
        [sys.executable, "-c", "from contest_runs import peak_mb; print(peak_mb())"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(contest_runs.__file__).parent,
    )

    # an interpreter with the standard library takes some 20 MB
    assert len(large) > 0 and 1 < float(found.stdout) < 150


def test_long_runs_are_repeated_less_often(tmp_path: Path):
    """
    Five rounds; three for whoever takes above a minute.
    """
    found = _found(_work(), tmp_path, {"ours": 1.0, "another": 61.0})

    assert {name: len(runs) for name, runs in found["runs"].items()} == {"ours": 5, "another": 3}
    assert found["runs"]["ours"][0] == asdict(Run(1.0, 1.0, 50.0, {"answer": 1.0}))
