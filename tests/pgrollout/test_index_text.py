"""Index texts: the pieces of a CREATE INDEX."""

import pytest

from pgrollout.index_text import read_index


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (a);", "CREATE INDEX ON x (a)"),
        ("CREATE UNIQUE INDEX ON ONLY app.t USING gist (a) -- why\n ;", "CREATE UNIQUE INDEX ON x USING gist (a)"),
        ('create index concurrently if not exists "on" on "a.b"."t" * (a) where b', "CREATE INDEX ON x * (a) where b"),
        ("CREATE INDEX i ON t USING gin (a) TABLESPACE y", "CREATE INDEX ON x USING gin (a) TABLESPACE y"),
    ],
)
def test_on_another_table(text: str, moved: str) -> None:
    """The same index on another table, plain and without its name."""
    assert read_index(text).on("x") == moved


def test_pieces() -> None:
    """Keys are taken without operator class and order; the rest is looked through for what is not a key."""
    index = read_index(
        "CREATE UNIQUE INDEX i ON t (a int4_ops (x = ',') DESC, f.g(a, (b)) COLLATE \"C\", (a + 1)) "
        "INCLUDE (c) NULLS NOT DISTINCT WITH (fillfactor = 70) WHERE a > 1;"
    )

    assert index.keys == ("a", 'f.g(a, (b)) COLLATE "C"', "(a + 1)")
    assert (index.unique, index.table, index.predicate, index.nulls_distinct) == (True, "t", "a > 1", False)
