"""
What ``manifest.json`` may contain: the description of a model version, validated as untrusted input.

It says what the model is, what it was made from and for, how it was measured, and which bytes its files have.
The boosters stand next to it as LightGBM text.
"""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from clv_ml.errors import ModelError
from clv_ml.model.recipe import STRICT, Output, booster_names

VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
BOUNDS = ("clv_low", "clv_high")
"""Quantiles of a customer's value, made from the outputs of the same row."""
ONNX_FILE, MANIFEST_FILE = "model.onnx", "manifest.json"
NO_FACTS = {"anchor_parts", "anchor_components", "anchor_factors"}
"""How models made before 0.2.0 name what they explain by: parts of the anchor, of which none is a fact."""

Column = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Text = Annotated[str, Field(min_length=1, max_length=200)]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Strict(BaseModel):
    """What may be forged, as pydantic reads it."""

    model_config = ConfigDict(**STRICT, frozen=True)


class FeatureSpec(Strict):
    """A column that the model reads; ``missing_as_zero``: as 0, since training saw no missing value in it."""

    name: Column
    type: Text
    missing_as_zero: bool


class AnchorComponentSpec(Strict):
    """
    A column that the anchor is made of, the value that it is compared with, in the column's unit, and the
    column of the fact that it stands for; none where it is the same for all.
    """

    name: Text
    reference: Annotated[float, Field(ge=0)]
    driver: Annotated[str, Field(max_length=200)] = ""


class AnchorOpening(Strict):
    """
    How the anchor is made: level x (addends + product + what is the same for all), the product being the
    factors times a rest, of which the fact is named. Without ``product`` the anchor is the product itself.
    """

    level: AnchorComponentSpec | None = None
    addends: tuple[AnchorComponentSpec, ...] = ()
    product: AnchorComponentSpec | None = None
    factors: tuple[AnchorComponentSpec, ...]
    rest: Text

    @property
    def components(self) -> tuple[AnchorComponentSpec, ...]:
        """All of them."""
        alone = (one for one in (self.level, self.product) if one is not None)
        return (*alone, *self.addends, *self.factors)


class ParitySpec(Strict):
    """Result of the gate: rows compared, and worst |onnx - lightgbm| / max(|lightgbm|, 0.01)."""

    rows: Annotated[int, Field(gt=0)]
    worst_relative_difference: Annotated[float, Field(ge=0, le=1e-9)]


class FileSpec(Strict):
    """A file's bytes."""

    sha256: Sha256
    bytes: Annotated[int, Field(gt=0)]


class ModelDescription(Strict):
    """
    What the trainer says of a model; the rest of the manifest is worked out when it is written.

    ``shop`` is the identity of the warehouse that it was made from, None before 0.2.0 and on Spark.
    ``feature_definitions`` maps what defines features (a model, a macro) to the md5 of its text;
    ``feature_hash`` is one over all. ``training_dates`` maps a use (train, calibrate, test, refit) to
    as-of dates. Drivers are measured against ``anchor_reference``, in the reporting currency;
    ``anchor_opening`` says how the anchor is made. ``feature_drivers`` names the columns of the facts that a
    column is made of, where it is not one itself.
    """

    version: Annotated[str, Field(pattern=VERSION_PATTERN)]
    shop: Text | None = None
    model_type: Text
    feature_hash: Text
    feature_definitions: dict[str, Text] = {}
    horizon_days: Annotated[int, Field(gt=0)]
    reporting_currency: Text
    annual_discount_rate: Annotated[float, Field(ge=0)] = 0.0
    anchor_reference: Annotated[float, Field(gt=0)] | None = None
    anchor_opening: AnchorOpening | None = None
    feature_drivers: dict[str, tuple[Text, ...]] = {}
    training_dates: dict[str, tuple[Day, ...]] = {}
    parameters: dict[str, JsonValue] = {}
    metrics: dict[str, JsonValue] = {}
    calibration: dict[str, JsonValue] = {}


class Manifest(ModelDescription):
    """The whole of ``manifest.json``."""

    format: Literal[1] = 1
    created_at: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
    features: tuple[FeatureSpec, ...]
    anchor: Column | None
    outputs: tuple[Output, ...]
    library_versions: dict[str, str]
    parity: ParitySpec
    files: dict[str, FileSpec]

    @model_validator(mode="after")
    def _files_are_those_of_the_recipe(self) -> "Manifest":
        expected = {ONNX_FILE} | {booster_file(name) for name in self.booster_names}
        if set(self.files) != expected:
            raise ValueError(f"files lists {sorted(self.files)} where the recipe has {sorted(expected)}")
        if self.anchor is not None and self.anchor_reference is None:
            raise ValueError("anchor_reference is missing for an anchored model")
        return self

    @model_validator(mode="after")
    def _calibration_is_numbers(self) -> "Manifest":
        """The SQL renders it, so no text may stand in it."""
        if not _numbers_only(self.calibration):
            raise ValueError("calibration holds something else than numbers")
        return self

    @property
    def booster_names(self) -> tuple[str, ...]:
        """Names of the boosters, each once, in order of use."""
        return booster_names(self.outputs)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def score_fields(self) -> tuple[str, ...]:
        """What scoring gives: the outputs, and the bounds, which models of 0.1.0 lack."""
        bounds = BOUNDS if self.calibration.get("amounts") else ()
        return (*(output.name for output in self.outputs), *bounds)

    @property
    def candidate(self) -> JsonValue:
        """Which candidate was published; models made before 0.2.0 call it their form."""
        return self.parameters.get("candidate", self.parameters.get("form"))

    @property
    def explained_columns(self) -> tuple[str, ...]:
        """Columns that an explanation needs, each once: features, the anchor, its components, facts."""
        anchor = () if self.anchor is None else (self.anchor,)
        facts = tuple(name for names in self.feature_drivers.values() for name in names)
        if self.anchor_opening is not None:
            components = self.anchor_opening.components
            anchor = (*anchor, *(one.name for one in components))
            facts = (*facts, *(one.driver for one in components if one.driver), self.anchor_opening.rest)
        return tuple(dict.fromkeys((*self.feature_names, *anchor, *facts)))


def _numbers_only(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return all(_numbers_only(item) for item in value.values())
    if isinstance(value, list):
        return all(_numbers_only(item) for item in value)
    return value is None or isinstance(value, int | float)


def booster_file(name: str) -> str:
    """The file of a booster in a model's folder."""
    return f"{name}.txt"


def manifest_bytes(manifest: Manifest) -> bytes:
    """
    The manifest as it is stored: sorted keys, UTF-8; floats read back to the same bits.

    Raises:
        ModelError: If a parameter, metric or calibration is not finite: JSON has no such number.
    """
    try:
        return (json.dumps(manifest.model_dump(), indent=1, sort_keys=True, allow_nan=False) + "\n").encode()
    except ValueError as error:
        raise ModelError(
            f"Manifest of {manifest.version!r} holds a NaN or infinity. Store None instead."
        ) from error


def parse_manifest(content: bytes, where: str) -> Manifest:
    """
    A validated manifest.

    Raises:
        ModelError: If it is not JSON, has a key twice, or breaks the schema; names the file and the first
            faults.
    """
    try:
        read = json.loads(content, object_pairs_hook=_unique_keys)
        if isinstance(read, dict) and NO_FACTS & set(read):
            read = {name: value for name, value in read.items() if name not in NO_FACTS}
            content = json.dumps({**read, "feature_drivers": {}}).encode()
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()[:3]
        )
    except (ValueError, RecursionError) as error:
        faults = str(error)
    raise ModelError(
        f"{where} is not a model manifest: {faults}. Restore the folder or train again (clv train)."
    )


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"a key stands twice among {sorted(keys)[:5]}")
    return dict(pairs)


def check_version(version: str) -> str:
    """
    The version, if it can name a folder.

    Raises:
        ModelError: If it could point elsewhere or hide.
    """
    if not re.fullmatch(VERSION_PATTERN, version):
        raise ModelError(
            f"{version!r} cannot name a model version. Use letters, digits, '.', '_' and '-', at most 100."
        )
    return version
