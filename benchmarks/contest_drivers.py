"""What moves each customer's prediction: SHAP values of the same booster and rows, side by side."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from contest_runs import Contender, Mark, Steps, Work, threads
from drivers import champion, matrix

from clv_ml.serve.explanation import tree_contributions
from clv_ml.serve.tree_shap import BLOCK_ROWS

NAMED = 100
"""Rows whose values are compared."""


def prepare(folder: Path, rows: int) -> None:
    """A booster of 200 trees of 31 leaves, depth at most 6, and random rows of 40 features."""
    champion().save_model(folder / "booster.txt")
    np.save(folder / "rows.npy", matrix(rows, seed=1))


def _loaded(folder: Path) -> tuple[lgb.Booster, np.ndarray]:
    return lgb.Booster(model_file=folder / "booster.txt"), np.load(folder / "rows.npy")


def _figures(values: np.ndarray) -> dict[str, float]:
    """Rows, and the size of the first rows' values; engines in single precision agree to 1e-6 in that."""
    return {"rows": float(len(values)), "size": float(np.abs(values[:NAMED, :40]).mean())}


def ours(folder: Path) -> Steps:
    """Our kernel: its tables once, then blocks on threads."""
    booster, rows = _loaded(folder)
    blocks = np.array_split(rows, max(threads(), -(-len(rows) // BLOCK_ROWS)))
    yield {}
    tree_contributions(booster, rows[:1])
    with ThreadPoolExecutor(threads()) as pool:
        values = np.concatenate(list(pool.map(lambda block: tree_contributions(booster, block), blocks)))
    yield {}
    yield _figures(values)


def with_lightgbm(folder: Path) -> Steps:
    """LightGBM's ``pred_contrib``."""
    booster, rows = _loaded(folder)
    yield {}
    values = booster.predict(rows, pred_contrib=True, num_threads=threads())
    yield {}
    yield _figures(np.asarray(values))


def with_shap(folder: Path) -> Steps:
    """shap's own C++ walk over the trees; asked without data it calls LightGBM's."""
    import shap

    booster, rows = _loaded(folder)
    explainer = shap.TreeExplainer(booster)
    yield {}
    values = explainer.shap_values(rows)
    yield {}
    yield _figures(np.asarray(values))


def with_woodelf(folder: Path) -> Steps:
    """One call with all rows, as it wants them."""
    from woodelf import WoodelfExplainer

    booster, rows = _loaded(folder)
    frame = pd.DataFrame(rows, columns=booster.feature_name())
    explainer = WoodelfExplainer(booster)
    yield {}
    values = explainer.shap_values(frame)
    yield {}
    yield _figures(np.asarray(values))


WORK = Work(
    key="drivers",
    title="Drivers",
    about=(
        "Exact SHAP values of 200 trees of 31 leaves, depth at most 6, 40 features, one in ten missing. "
        "Building what each engine derives from the booster is counted. Without the ranking, the words and "
        "the writing of the drivers' table, which `make bench-drivers` measures."
    ),
    unit="customers",
    sizes=(1_000, 10_000, 100_000),
    prepare=prepare,
    contenders=(
        Contender("ours", ours),
        Contender("woodelf-explainer", with_woodelf, ("woodelf",)),
        Contender("LightGBM pred_contrib", with_lightgbm),
        Contender("shap.TreeExplainer", with_shap, ("shap",)),
    ),
    marks=(
        Mark("woodelf-explainer", 3, of="processor"),
        Mark("LightGBM pred_contrib", 40, of="processor"),
    ),
    equal=("rows", "size"),
)
