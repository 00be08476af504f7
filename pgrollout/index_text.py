"""
Index texts: the parts of a CREATE INDEX statement, cut out of its text at the tokens.

So that the same index can be asked for on another table, and rows that a unique one forbids can be looked for. The parts
stay as they were written; what they mean is the server's to say.
"""

from dataclasses import dataclass

from pgrollout.reader import Reader


@dataclass(frozen=True, slots=True)
class IndexText:
    """A CREATE INDEX statement, in pieces."""

    unique: bool
    """Whether it says UNIQUE."""
    table: str
    """The table, as written."""
    rest: str
    """What follows the table, without a semicolon: ``USING gin (a) WHERE b``."""
    keys: tuple[str, ...]
    """Columns and expressions that make the key, with their COLLATE, without anything else."""
    predicate: str
    """What follows WHERE; empty without one."""
    nulls_distinct: bool
    """Whether rows with a null in the key never are duplicates."""

    def on(self, table: str) -> str:
        """Return the statement for another table, built at once and named by the server."""
        return f"CREATE {'UNIQUE ' if self.unique else ''}INDEX ON {table} {self.rest}"


def read_index(text: str) -> IndexText:
    """
    Take a CREATE INDEX statement apart.

    Args:
        text: One that the server takes.

    Raises:
        Unclosed: Something in it opens and never closes.
    """
    reader = Reader(text)
    reader.take("CREATE")
    unique = reader.take("UNIQUE")
    reader.take("INDEX")
    reader.take("CONCURRENTLY")
    reader.take("IF", "NOT", "EXISTS")
    if not reader.take("ON"):
        reader.name()
        reader.take("ON")
    reader.take("ONLY")
    first = reader.start
    reader.name()
    table, rest = text[first : reader.end], reader.end
    reader.take("*")
    if reader.take("USING"):
        reader.part()
    keys = _keys(reader)
    nulls_distinct, predicate = True, ""
    while not reader.is_at_end:
        if reader.take("NULLS", "NOT", "DISTINCT"):
            nulls_distinct = False
        elif reader.take("WHERE"):
            predicate = _to_the_end(reader)
        elif reader.see() == "(":
            reader.group()
        else:
            reader.token()
    return IndexText(unique, table, text[rest : reader.end].strip(), keys, predicate, nulls_distinct)


def _keys(reader: Reader) -> tuple[str, ...]:
    keys: list[str] = []
    reader.take("(")
    while reader.see() not in (")", ""):
        keys.append(_key(reader))
        while reader.see() not in (",", ")", ""):  # operator class, its parameters, order
            if reader.see() == "(":
                reader.group()
            else:
                reader.token()
        reader.take(",")
    reader.take(")")
    return tuple(keys)


def _key(reader: Reader) -> str:
    """A column, a call of a function, or an expression in parentheses."""
    first = reader.start
    if reader.see() != "(":
        reader.name()
    if reader.see() == "(":
        reader.group()
    if reader.take("COLLATE"):
        reader.name()
    return reader.text[first : reader.end]


def _to_the_end(reader: Reader) -> str:
    first = reader.start
    while not reader.is_at_end:
        reader.token()
    return reader.text[first : reader.end]
