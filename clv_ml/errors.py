"""Every error that this package raises on purpose. A message names the thing, the fault and the remedy."""


class ClvError(Exception):
    """Base of all errors of this package."""


class SettingsError(ClvError):
    """A setting has the wrong name, type or range."""


class InputError(ClvError):
    """A file, table or preset cannot be read as what it claims to be."""


class LossError(InputError):
    """More of what arrived was refused than ``quarantine_share`` allows."""


class OtherCurrencyError(InputError):
    """The first feed of all is in one currency, and that is not the setting's. Nothing was written."""

    def __init__(self, currency: str, message: str) -> None:
        super().__init__(message)
        self.currency = currency


class WarehouseError(ClvError):
    """The database is missing, locked or lacks a table."""


class NotBuiltError(WarehouseError):
    """There is no warehouse yet, or nothing of this product in it."""


class WarehouseBusyError(WarehouseError):
    """Another process holds the database."""


class PublishError(ClvError):
    """The published copy cannot be made; the old one stays."""


class DatabaseError(ClvError):
    """Another database than the warehouse cannot be reached, or refuses."""


class BuildError(ClvError):
    """A dbt command failed."""


class MissingExtraError(ClvError):
    """A command needs a library that is an extra and not installed."""


class HistoryError(ClvError):
    """There is too little history for the horizon."""


class TrainingError(ClvError):
    """A model cannot be fitted or is not worth publishing."""


class ModelError(ClvError):
    """A model folder cannot be used."""


class ModelTamperedError(ModelError):
    """A file is not the one that the manifest describes."""


class ExportError(ModelError):
    """The ONNX graph does not agree with the fitted model, or the model type cannot be exported."""


class FeatureMismatchError(ModelError):
    """A feature is missing, has another type, or its definition changed."""
