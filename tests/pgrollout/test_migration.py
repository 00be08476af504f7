"""Names of migrations."""

import pytest

from pgrollout.migration import Migration, directory_order, is_migration_name


@pytest.mark.parametrize(
    ("name", "version", "description"),
    [
        ("20260314091500_create_orders.sql", "20260314091500", "create_orders"),
        ("1.sql", "1", ""),
        ("2.5_b-c.d.sql", "2.5", "b-c.d"),
        (".x.sql", ".x", ""),
        ("1_.sql", "1", ""),
    ],
)
def test_version_and_description_come_from_the_name(name: str, version: str, description: str) -> None:
    """The version is the name up to its first underscore, the description the rest."""
    migration = Migration(name, b"")

    assert (migration.version, migration.description) == (version, description)


def test_names_are_ordered_byte_by_byte() -> None:
    """The whole name counts, not the version: ``.`` sorts before ``_``."""
    assert sorted(["2_b.sql", "10_a.sql", "2.5_b.sql"], key=directory_order) == ["10_a.sql", "2.5_b.sql", "2_b.sql"]


@pytest.mark.parametrize(
    ("name", "counts"), [("1.sql", True), (".x.sql", True), ("1.SQL", False), ("atlas.sum", False)]
)
def test_only_lower_case_sql_counts(name: str, counts: bool) -> None:
    """Atlas takes every file that ends in ``.sql``, in lower case."""
    assert is_migration_name(name) is counts
