"""
Facts: what is known when a rule looks at a statement.

For now what the directory says, up to the statement before. The live catalog joins them here: a rule asks
``facts``, not where the answer comes from.
"""

from dataclasses import dataclass

from pgrollout.lint.schema import Column, Schema, Table
from pgrollout.nodes import ColumnDefinition, Name


@dataclass(frozen=True, slots=True)
class Facts:
    """What the directory has made so far."""

    schema: Schema

    def table(self, name: Name) -> Table | None:
        """Return what is known of a table, if anything."""
        return self.schema.table(name)

    def column(self, table: Name, column: str) -> Column | None:
        """Return what is known of a column, if anything."""
        known = self.table(table)
        return known.columns.get(column) if known else None

    def creates(self, table: Name) -> bool:
        """Whether this very file created the table: nobody else uses it yet."""
        known = self.table(table)
        return known is not None and known.file == self.schema.file

    def surely_creates(self, table: Name) -> bool:
        """Whether this very file created the table, and did not find it by IF NOT EXISTS: all its rows are the file's own."""
        known = self.table(table)
        return known is not None and known.file == self.schema.file and not known.may_be_older

    def may_have_rows(self, table: Name) -> bool:
        """Whether somebody may use rows of the table: not if this very file created it, nor if it is a foreign one."""
        known = self.table(table)
        return not (self.creates(table) or (known is not None and known.is_foreign))

    def adds(self, table: Name, column: str) -> bool:
        """Whether this very file added the column."""
        known = self.column(table, column)
        return known is not None and known.file == self.schema.file

    def demands_value(self, column: ColumnDefinition) -> bool:
        """Whether a new column takes no NULL and gives a row no value: by itself or, where it does not say, by its domain."""
        domain = self.schema.domain(column.type)
        has_default = domain.has_default if column.has_default is None else column.has_default
        return (column.not_null or domain.not_null) and not has_default

    def is_partitioned(self, table: Name) -> bool:
        """Whether the table is known to be a partitioned one."""
        known = self.table(table)
        return known is not None and known.is_partitioned

    def creates_index(self, index: Name) -> bool:
        """Whether this very file created the index, or the table it is on."""
        table, file = self.schema.index_table(index)
        return file == self.schema.file or (table is not None and table.file == self.schema.file)

    def is_partitioned_index(self, index: Name) -> bool:
        """Whether the index is known to be on a partitioned table."""
        table, _ = self.schema.index_table(index)
        return table is not None and table.is_partitioned
