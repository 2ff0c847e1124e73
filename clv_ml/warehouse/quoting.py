"""Names and texts as SQL, whatever stands in them."""


def quoted_name(name: str) -> str:
    """An identifier in double quotes."""
    return '"' + name.replace('"', '""') + '"'


def quoted_text(value: object) -> str:
    """A text in single quotes."""
    return "'" + str(value).replace("'", "''") + "'"
