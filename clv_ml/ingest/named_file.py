"""What warnings about a file name: its own columns, and the remedy as its user would write it."""

from dataclasses import dataclass

from clv_ml.ingest.mapped_values import found_column
from clv_ml.ingest.mapping import Mapping, synonyms
from clv_ml.ingest.presets import Preset


@dataclass(frozen=True)
class NamedFile:
    """A file by its name and columns, and what it is read by."""

    name: str
    columns: tuple[str, ...]
    layout: Mapping | Preset

    def named(self, field: str) -> str:
        """The field's columns, in quotes."""
        source = self.layout.sources().get(field) if isinstance(self.layout, Mapping) else None
        found = [found_column(name, self.columns) for name in (source.columns if source else (field,))]
        return " and ".join(repr(name) for name in dict.fromkeys(found) if name) or field

    def remedy(self, line: str, otherwise: str) -> str:
        """A line of the mapping, or what to do where SQL maps the file."""
        return f"add --map {line}" if isinstance(self.layout, Mapping) else otherwise

    def other_people(self) -> str:
        """Columns that may name the person instead, as a hint."""
        used = self.named("customer_id")
        found = [
            column
            for key in synonyms()["customer_id"]
            if (column := found_column(key, self.columns)) and repr(column) not in used
        ]
        return f", such as {found[0]!r}" if found else ""
