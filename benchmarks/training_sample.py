"""
What training on a sample of customers costs, by the rule of Spark's trainer
(``clv_ml.spark.tables.in_sample``).

``python benchmarks/training_sample.py [--customers 10000]`` simulates a shop, trains on shares of its
customers, scores everybody with each model and compares with what a perfect forecast would have said.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr
from simulated_truth import write_truth

from clv_ml.engines import engine_of
from clv_ml.learn.training import train
from clv_ml.serve.predictor import Predictor
from clv_ml.settings import load_settings
from clv_ml.simulate.simulator import Shop, write_simulation
from clv_ml.warehouse.connection import connect

SHARES = (1.0, 0.5, 0.25, 0.1, 0.05)
IN_SAMPLE = "cast('0x' || substr(md5(customer_id), 1, 12) as bigint) % 1000000 < {below}"


def main() -> None:
    """Prints a row per share: rows trained on, and how close the predictions are to the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--customers", type=int, default=10_000, help="customers of the simulated shop")
    customers = parser.parse_args().customers
    with tempfile.TemporaryDirectory(prefix="clv-sample-") as name:
        folder, shop = Path(name), Shop(customers=customers)
        settings = load_settings()
        settings = settings.model_copy(update={"warehouse": folder / "clv.duckdb", "models": folder / "m"})
        write_simulation(shop, folder / "data")
        engine_of(settings).ingest_files("simulator", data_dir=folder / "data")
        engine_of(settings).build_features()
        with connect(settings) as connection:
            rows = connection.sql("select * from scoring_rows order by customer_id").to_arrow_table()
            as_of = connection.sql("select as_of_date from as_of_dates where is_scoring_date").fetchall()[0][
                0
            ]
        truth_file = write_truth(shop, folder, as_of, settings.vars.horizon_days)
        print("share | rows | total / truth | nmae | spearman")
        for share in SHARES:
            own = settings.model_copy(
                update={"warehouse": folder / f"{share}.duckdb", "models": folder / f"models-{share}"}
            )
            shutil.copy2(settings.warehouse, own.warehouse)
            with connect(own, read_only=False) as connection:
                for table in ("training_rows", "scoring_rows"):
                    condition = IN_SAMPLE.format(below=round(share * 1_000_000))
                    connection.execute(f"create table part as select * from {table} where {condition}")
                    connection.execute(f"drop view {table}")
                    connection.execute(f"alter table part rename to {table}")
            result = train(own)
            predicted = Predictor.load(own.models).predict_batch(rows)["clv_predicted"]
            with connect(settings) as connection:
                said = rows.select(["customer_id"]).append_column("predicted", [predicted.to_numpy()])
                connection.register("said", said)
                both = connection.sql(
                    f"select predicted, posterior_expected_value from said inner join '{truth_file}' "
                    "using (customer_id)"
                ).fetchnumpy()
            ours, truth = (np.asarray(column, dtype=np.float64) for column in both.values())
            figures = (
                ours.sum() / truth.sum(),
                np.abs(ours - truth).sum() / truth.sum(),
                spearmanr(ours, truth)[0],
            )
            print(
                f"{share} | {result.rows_fitted} | " + " | ".join(f"{value:.3f}" for value in figures),
                flush=True,
            )


if __name__ == "__main__":
    main()
