"""
Quoting: literals and names inside SQL text that is sent as one simple query.

A simple query takes no parameters. The quoting here is right whatever a migration has set before: a backslash makes
the literal an ``E''`` one, which means the same with ``standard_conforming_strings`` on and off.

Source: PostgreSQL manual, "String Constants" and "Identifiers and Key Words".
"""


def literal(value: str | int | None) -> str:
    """
    Return the value as an SQL literal; None is ``NULL``.

    Raises:
        ValueError: The text has a NUL character, which no PostgreSQL text can hold.
    """
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if "\0" in value:
        raise ValueError("a text for PostgreSQL cannot hold NUL")
    quoted = "'" + value.replace("'", "''") + "'"
    return "E" + quoted.replace("\\", "\\\\") if "\\" in value else quoted


def name(*parts: str) -> str:
    """Return the parts as a quoted, dotted name: ``"app"."orders"``."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def bare(quoted: str) -> str:
    """Return a quoted, dotted name as a person says it, for the log: ``app.orders``."""
    return quoted.replace('"', "")
