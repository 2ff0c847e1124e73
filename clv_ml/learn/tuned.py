"""``tuning.json`` in the model folder: what ``clv tune`` found and ``clv train`` uses."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from clv_ml.errors import ModelError
from clv_ml.learn.boosters import Parameters
from clv_ml.model.manifest import Day, Strict
from clv_ml.warehouse.safe_files import read_file, replace_file

TUNING_FILE = "tuning.json"
MOST_BYTES = 100_000

Share = Annotated[float, Field(gt=0, le=1)]


class TunedParameters(Strict):
    """The parameters that are searched; units and meaning are those of ``Parameters``."""

    leaves: Annotated[int, Field(ge=2, le=255)]
    feature_share: Share
    row_share: Share
    l2: Annotated[float, Field(ge=0, le=1e6)]
    tweedie_power: Annotated[float, Field(gt=1, lt=2)]
    ratio_cap: Annotated[float, Field(gt=1, le=1e6)]


class Tuning(Strict):
    """The search read no date from ``searched_before`` on, and no answer that was not final by then."""

    format: Literal[1] = 1
    horizon_days: Annotated[int, Field(gt=0)]
    searched_before: Day
    parameters: TunedParameters

    def applies(self, horizon_days: int, test_date: date) -> bool:
        """Whether a training may use it: the same horizon, and a test date that the search never saw."""
        return self.horizon_days == horizon_days and date.fromisoformat(self.searched_before) <= test_date

    def laid_over(self, parameters: Parameters) -> Parameters:
        """The parameters with those found in place of theirs."""
        return replace(parameters, **self.parameters.model_dump())


def parameters_in_force(models: Path, horizon_days: int, test_date: date) -> tuple[Parameters, str | None]:
    """Parameters for this horizon and before which date they were searched; the defaults without a search."""
    tuning = read_tuning(models)
    if tuning and tuning.applies(horizon_days, test_date):
        return tuning.laid_over(Parameters()), tuning.searched_before
    return Parameters(), None


def read_tuning(models: Path) -> Tuning | None:
    """
    The tuning in force; None where there is none.

    Raises:
        ModelError: If the file is not one that ``clv tune`` wrote.
    """
    path = models / TUNING_FILE
    if not path.exists():
        return None
    try:
        return Tuning.model_validate_json(read_file(path, MOST_BYTES))
    except ValidationError as error:
        fault = error.errors()[0]
        raise ModelError(
            f"{path} holds no tuned parameters: {'.'.join(map(str, fault['loc'])) or 'file'}: "
            f"{fault['msg']}. Search again (clv tune), or delete it for the defaults."
        ) from error


def write_tuning(models: Path, tuning: Tuning | None) -> None:
    """Puts a tuning in force, in one step; None returns to the defaults."""
    path = models / TUNING_FILE
    if tuning is None:
        path.unlink(missing_ok=True)
        return
    models.mkdir(parents=True, exist_ok=True)
    replace_file(path, (tuning.model_dump_json(indent=1) + "\n").encode())
