"""``python -m clv_ml.spark.dbt``: plain dbt with dbt's own arguments, on Spark with our SQL functions."""

import sys
from collections.abc import Sequence
from itertools import pairwise

from dbt.cli.main import dbtRunner

from clv_ml.settings import load_settings, parse_vars
from clv_ml.spark.functions import register
from clv_ml.spark.session import open_session


def main(arguments: Sequence[str]) -> int:
    """dbt's exit code: 0 done, 1 failed, 2 wrong usage."""
    given = dict(pairwise(arguments)).get("--vars", "")
    settings = load_settings(parse_vars(given))
    spark = open_session(settings)
    register(spark, settings)
    folders = ["--project-dir", str(settings.project), "--profiles-dir", str(settings.project)]
    result = dbtRunner().invoke([*arguments, *folders, "--target", "spark"])
    spark.stop()
    return 0 if result.success else 2 if result.exception else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
