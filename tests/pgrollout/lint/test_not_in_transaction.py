"""TX201: other statements that cannot run in a transaction, in a wrapped file."""

import pytest

from tests.pgrollout.lint.linting import hits


@pytest.mark.parametrize(
    ("statement", "subject"),
    [
        ("VACUUM (FULL) orders", "VACUUM"),
        ("ALTER SYSTEM SET work_mem = '8MB'", "ALTER SYSTEM"),
        ("CREATE DATABASE other", "CREATE DATABASE"),
        ("REINDEX SCHEMA app", "REINDEX SCHEMA"),
        ("COMMIT PREPARED 'x'", "COMMIT PREPARED"),
    ],
)
def test_what_atlas_would_refuse_is_found(statement: str, subject: str) -> None:
    """A warning in a wrapped file, for it runs here; nothing below the directive that Atlas asks for."""
    assert hits(f"SELECT 1; {statement};") == [("TX201", subject)]
    assert hits(f"-- atlas:txmode none\n\nSELECT 1; {statement};") == []


@pytest.mark.parametrize(
    "statement", ["ANALYZE orders", "REINDEX TABLE orders", "ALTER DATABASE d SET work_mem = '8MB'"]
)
def test_what_a_transaction_can_have_is_not(statement: str) -> None:
    """Although it is often listed."""
    assert hits(f"{statement};") == []
