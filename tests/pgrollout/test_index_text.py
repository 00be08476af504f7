"""Index texts: the pieces of a CREATE INDEX, and the query for what a unique one forbids."""

import pytest

from pgrollout.index_text import duplicates_sql, read_index


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


@pytest.mark.parametrize(
    ("text", "query"),
    [
        (
            "CREATE UNIQUE INDEX CONCURRENTLY i ON app.t (a)",
            "SELECT a, count(*) FROM app.t WHERE a IS NOT NULL GROUP BY 1 HAVING count(*) > 1 ORDER BY count(*) DESC",
        ),
        (
            'CREATE UNIQUE INDEX i ON t USING btree (lower("N,") COLLATE "C" text_pattern_ops DESC NULLS LAST, (a + (b)), '
            "f.g(a)) INCLUDE (c) NULLS NOT DISTINCT WITH (fillfactor = 70) TABLESPACE x WHERE a > 1 OR b IN (1, 2);",
            'SELECT lower("N,") COLLATE "C", (a + (b)), f.g(a), count(*) FROM t WHERE (a > 1 OR b IN (1, 2)) '
            "GROUP BY 1, 2, 3 HAVING count(*) > 1 ORDER BY count(*) DESC",
        ),
        (
            "CREATE UNIQUE INDEX i ON t (a int4_ops (x = ','), b) WHERE a > 1",
            "SELECT a, b, count(*) FROM t WHERE (a > 1) AND a IS NOT NULL AND b IS NOT NULL "
            "GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY count(*) DESC",
        ),
    ],
)
def test_duplicates(text: str, query: str) -> None:
    """The query groups by the keys alone, among the rows that the index would have."""
    assert duplicates_sql(text) == query
