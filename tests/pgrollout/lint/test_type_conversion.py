"""Which type changes copy the table: our table against a server's answer."""

import itertools

import psycopg
import pytest

from pgrollout.lint.type_conversion import Conversion, conversion
from pgrollout.nodes import AlterTable, ChangeType, TypeName
from pgrollout.parser import parse_statement
from tests.servers import Database

TYPES = (
    "text varchar varchar(10) varchar(20) char(10) char(20) bpchar int2 int4 int8 float4 float8 numeric numeric(10,2) "
    "numeric(12,2) numeric(12,3) numeric(12) bool date time time(3) timetz timetz(3) timestamp timestamp(3) timestamp(6) "
    "timestamptz timestamptz(3) timestamptz(6) interval interval(3) json jsonb uuid cidr inet macaddr varbit varbit(5) "
    "varbit(9) bytea int4[] int8[] varchar(10)[] text[] xid oid"
)


def _type(name: str) -> TypeName:
    (node,) = parse_statement(f"ALTER TABLE t ALTER c TYPE {name}")
    assert isinstance(node, AlterTable)
    assert isinstance(node.actions[0], ChangeType)
    return node.actions[0].type


@pytest.mark.parametrize("time_zone", ["UTC", "Europe/Berlin"])
def test_a_server_agrees(database: Database, time_zone: str) -> None:
    """For each pair of types that converts without USING: free means the same file on disk, a copy another one."""
    wrong = []
    with psycopg.connect(database.url, autocommit=True) as conn:
        conn.execute(f"SET TimeZone = '{time_zone}'")
        for old, new in itertools.permutations(TYPES.split(), 2):
            conn.execute("DROP TABLE IF EXISTS t")
            conn.execute(f"CREATE TABLE t (c {old})")
            before = conn.execute("SELECT pg_relation_filenode('t')").fetchone()
            try:
                conn.execute(f"ALTER TABLE t ALTER c TYPE {new}")
            except psycopg.errors.DatatypeMismatch:
                continue  # there is no cast without USING
            is_free = conn.execute("SELECT pg_relation_filenode('t')").fetchone() == before
            expected = {
                Conversion.FREE: True,
                Conversion.REWRITES: False,
                Conversion.BY_TIME_ZONE: time_zone == "UTC",
                Conversion.UNKNOWN: is_free,
            }[conversion(_type(old), _type(new))]
            if is_free != expected:
                wrong.append((old, new, is_free))

    assert wrong == []


def test_the_same_type_is_free() -> None:
    """A change to the type that a column has is none, user-defined ones included."""
    assert conversion(_type("app.mood"), _type("app.mood")) is Conversion.FREE


def test_an_interval_of_fields_is_not_one_of_digits() -> None:
    """INTERVAL YEAR TO MONTH restricts fields, which is not a precision."""
    assert conversion(_type("interval"), _type("interval year to month")) is Conversion.UNKNOWN
