"""
How fast the database scores with the published model, side by side. Features are random, with gaps; the model
is trained on a small simulated shop by ``clv``'s own code.
"""

import shutil
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import onnxruntime as ort
from contest_runs import Contender, Mark, Steps, Work, threads
from contest_shop import dbt_writes_to, settings_in

from clv_ml.engines import engine_of
from clv_ml.learn.training import train
from clv_ml.model.manifest import ONNX_FILE
from clv_ml.model.model_files import LoadedModel
from clv_ml.model.onnx_export import ANCHOR, FEATURES
from clv_ml.model.registry import load
from clv_ml.serve.dbt_plugin import register
from clv_ml.settings import Settings
from clv_ml.simulate.simulator import Shop, write_simulation

CALLS = 500
WARM_UP = 50
BATCH_ROWS = 50_000
"""Rows that a session of ONNX Runtime gets at once: it holds what it works on."""


def settings_of(folder: Path) -> Settings:
    """With the small shop's horizon, of a warehouse and models in the folder."""
    return settings_in(folder, {"horizon_days": 90})


def with_champion(folder: Path) -> Settings:
    """Settings of a folder without a warehouse that has the champion of the small shop."""
    settings = settings_of(folder)
    shutil.copytree(settings_of(Path(_trained_shop().name)).models, settings.models)
    return settings


@cache
def _trained_shop() -> TemporaryDirectory:
    """A small simulated shop with a champion, trained once a session."""
    place = TemporaryDirectory(prefix="clv-bench-")
    folder = Path(place.name)
    dbt_writes_to(folder)
    settings = settings_of(folder)
    write_simulation(Shop(customers=1500, start=date(2024, 1, 1), end=date(2025, 1, 1)), folder / "data")
    engine_of(settings).ingest_files("simulator", data_dir=folder / "data")
    engine_of(settings).build_features()
    train(settings)
    return place


def prepare(folder: Path, rows: int) -> None:
    """The champion, and a table of random customers."""
    model = champion(with_champion(folder))
    with duckdb.connect(folder / "rows.duckdb") as connection:
        fill(connection, model, rows)


def champion(settings: Settings) -> LoadedModel:
    """The model in use."""
    model = load(settings.models)
    assert model is not None
    return model


def fill(connection: duckdb.DuckDBPyConnection, model: LoadedModel, rows: int) -> None:
    """
    A table of random customers. A value of each feature is drawn from around its splits, one in ten is
    missing.
    """
    connection.execute("select setseed(0.5)")
    columns = ", ".join(
        f"case when random() > 0.1 then 200 * random() - 5 end as {name}"
        for name in model.manifest.feature_names
    )
    anchor = f", exp(3 + random()) as {model.manifest.anchor}" if model.manifest.anchor else ""
    connection.execute(
        f"create table customers as select range as customer_id, {columns}{anchor} from range({rows})"
    )


def call(model: LoadedModel) -> str:
    """The scoring call as dbt renders it."""
    names = dict.fromkeys((*model.manifest.feature_names, *filter(None, [model.manifest.anchor])))
    return f"clv_score(struct_pack({', '.join(f'{name} := {name}' for name in names)}))"


def ours(folder: Path) -> Steps:
    """``clv_score`` over the table, every output of the model, into a table."""
    settings = settings_of(folder)
    with duckdb.connect(folder / "rows.duckdb", config={"threads": threads()}) as connection:
        register(connection, settings)
        struct = call(champion(settings))
        # loads the model, as the other contenders have
        connection.execute(f"select {struct} from customers limit 1").fetchall()
        yield {}
        connection.execute(
            f"create or replace table scored as select customer_id, {struct} as s from customers"
        )
        yield {}
        found = connection.execute("select count(*), avg(s.clv_predicted) from scored").fetchall()[0]
        yield {"rows": float(found[0]), "clv_predicted": float(found[1])}


def with_lightgbm(folder: Path) -> Steps:
    """LightGBM's own scores of every booster, on a matrix that is already there."""
    model, features, _ = _matrix(folder)
    yield {}
    for booster in model.recipe.boosters.values():
        predicted = booster.predict(features, raw_score=True, num_threads=threads())
    yield {}
    yield {"rows": float(len(np.asarray(predicted)))}


def with_onnx_runtime(folder: Path) -> Steps:
    """The same graph as ours on a matrix that is already there, by ONNX Runtime's own threads."""

    model, features, anchor = _matrix(folder)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads(), 3
    session = ort.InferenceSession(str(model.folder / ONNX_FILE), options)
    wanted = {node.name for node in session.get_inputs()}
    names = [node.name for node in session.get_outputs()]
    yield {}
    found = []
    for start in range(0, len(features), BATCH_ROWS):
        rows = slice(start, start + BATCH_ROWS)
        feeds = {FEATURES: features[rows], ANCHOR: anchor[rows]}
        feeds = {name: values for name, values in feeds.items() if name in wanted}
        found.append(session.run(names, feeds)[names.index("clv_predicted")])
    yield {}
    values = np.concatenate(found)
    yield {"rows": float(values.size), "clv_predicted": float(values.mean())}


def _matrix(folder: Path) -> tuple[LoadedModel, np.ndarray, np.ndarray]:
    """The model, its rows as LightGBM wants them, shape (n, features), and their anchor."""
    model = champion(settings_of(folder))
    names = [*model.manifest.feature_names, *filter(None, [model.manifest.anchor])]
    with duckdb.connect(folder / "rows.duckdb", read_only=True) as connection:
        columns = connection.execute(f"select {', '.join(names)} from customers").fetchnumpy()
    filled = [np.ma.filled(columns[name].astype(float), np.nan) for name in names]
    features = np.column_stack(filled[: len(model.manifest.feature_names)])
    return model, features, filled[-1]


def one_by_one(folder: Path) -> Steps:
    """One customer after the other through SQL, each time another."""
    settings = settings_of(folder)
    with duckdb.connect(folder / "rows.duckdb", config={"threads": 1}) as connection:
        register(connection, settings)
        query = f"select {call(champion(settings))} as s from customers where customer_id = ?"
        for number in range(WARM_UP):
            connection.execute(query, [number]).fetchall()
        yield {}
        for number in range(CALLS):
            connection.execute(query, [number]).fetchall()
        yield {}
        yield {"rows": float(CALLS)}


def one_by_one_alone(folder: Path) -> Steps:
    """LightGBM's scores of a row after the other."""
    model, features, _ = _matrix(folder)
    yield {}
    for number in range(CALLS):
        for booster in model.recipe.boosters.values():
            booster.predict(features[number : number + 1], raw_score=True, num_threads=1)
    yield {}
    yield {"rows": float(CALLS)}


AS_CASE = "an earlier trial with 200 trees took 11.5 s to plan and gave 10,800 rows a second"
WORK = Work(
    key="scoring",
    title="Scoring",
    about=(
        "The published model, all its boosters and outputs, over customers with random features, one in ten"
        " missing. Ours is `clv_score` in SQL, from a table into a table. LightGBM and ONNX Runtime get a "
        "matrix that is already in memory; LightGBM only sums its trees, and combines no outputs."
    ),
    unit="customers",
    sizes=(50_000, 200_000, 1_000_000),
    prepare=prepare,
    contenders=(
        Contender("ours", ours),
        Contender("LightGBM predict", with_lightgbm, computes="trees only"),
        Contender("ONNX Runtime", with_onnx_runtime),
    ),
    marks=(Mark("LightGBM predict", 1.2), Mark("LightGBM predict", 1.2, of="processor")),
    equal=("rows", "clv_predicted"),
    not_run={
        "the model as SQL `case`": AS_CASE,
        "lleaves": "it needs an older llvmlite than those that shap and pymc-marketing install",
    },
)
ONE_BY_ONE = Work(
    key="one_by_one",
    title="One customer at a time",
    about=f"{CALLS} customers, one call each, warm, on one thread, as a service would ask.",
    unit="customers",
    sizes=("500 calls",),
    prepare=lambda folder, _: prepare(folder, 2 * CALLS),
    contenders=(
        Contender("ours", one_by_one),
        Contender("LightGBM predict", one_by_one_alone, computes="trees only"),
    ),
    notes=("a call through SQL takes many times what LightGBM alone does. Why was not looked into.",),
    equal=("rows",),
)
