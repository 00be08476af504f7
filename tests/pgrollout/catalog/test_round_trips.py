"""Schemas that are the same however they were made: dumped and restored, in another order, by another server."""

import subprocess
from contextlib import ExitStack
from itertools import pairwise

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from pgrollout.catalog.difference import difference
from pgrollout.catalog.fingerprint import fingerprint
from pgrollout.catalog.model import Catalog
from pgrollout.catalog.scope import Scope
from pgrollout.postgres.catalog import read_catalog
from pgrollout.postgres.dump import without_what_servers_refuse
from tests.pgrollout.catalog.random_schemas import schemas
from tests.pgrollout.catalog.schemas import PARTS, make_large, schema_database
from tests.pgrollout.catalog.test_mutations import said
from tests.servers import Database, Server, Servers

EXAMPLES = 6
"""Random schemas; each is made, dumped and restored."""
TRIPS = {15: 1, 16: 1, 18: 2}
"""How often the large schema is dumped and restored, by major version."""


def test_dump_and_restore_changes_nothing(any_server: Server) -> None:
    """What pg_dump writes and psql restores is the same schema, and so is what it writes of that."""
    with ExitStack() as stack:
        databases = [stack.enter_context(schema_database(any_server)) for _ in range(TRIPS[any_server.version] + 1)]
        _make(databases[0])
        for one, other in pairwise(databases):
            _restore(other, _dump(one))

        read = [_read(database) for database in databases]
        assert [said(difference(read[0], other)) for other in read[1:]] == [set()] * (len(read) - 1)
        assert len({fingerprint(one) for one in read}) == 1


def test_the_order_of_creation_does_not_matter(any_server: Server) -> None:
    """Made in another order, with objects in between that were dropped again, it is the same schema; read twice, too."""
    with schema_database(any_server) as one, schema_database(any_server) as other:
        _make(one)
        other.execute("CREATE TABLE gone (a serial PRIMARY KEY, b text CHECK (b IN ('x'))); DROP TABLE gone")
        _make(other, seed=any_server.version)

        read = _read(one)
        assert _same(read, _read(one))
        assert _same(read, _read(other))


def test_a_dump_restored_by_a_newer_server_is_the_same(servers: Servers, server: Server) -> None:
    """15's schema dumped for 18: no difference, and bodies and views are listed as not comparable."""
    old = servers.get(15)
    with schema_database(old) as original, schema_database(server) as restored:
        _make_common(original)

        _restore(restored, _dump(original, program=server))

        found = difference(_read(original), _read(restored))
        assert said(found) == set()
        assert {one.identity.kind for one in found.not_comparable} == {
            "FUNCTION", "PROCEDURE", "VIEW", "MATERIALIZED VIEW", "RULE",
        }  # fmt: skip


@pytest.mark.parametrize("version", [15, 16])
def test_the_same_sql_on_two_versions_is_the_same(servers: Servers, server: Server, version: int) -> None:
    """Nothing differs between what 18 and an older server make of the same SQL, as far as it can be compared."""
    with schema_database(server) as new, schema_database(servers.get(version)) as old:
        _make_common(new)
        _make_common(old)

        one, other = _read(old), _read(new)
        assert said(difference(one, other)) == set()
        assert said(difference(other, one)) == set()


def test_random_schemas_survive_dump_and_restore(server: Server) -> None:
    """Whatever the schema, dumped and restored it is the same."""

    # The same ones every time: so few do not find something new, and a commit is not to blame if they did.
    @settings(max_examples=EXAMPLES, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(schemas())
    def survives(statements: list[str]) -> None:
        with schema_database(server) as original, schema_database(server) as restored:
            assert _run(original, statements) > len(statements) * 3 / 4

            _restore(restored, _dump(original))

            assert _same(_read(original), _read(restored))

    survives()


def _make(database: Database, seed: int | None = None) -> None:
    with database.connect() as connection:
        make_large(connection, seed)


def _make_common(database: Database) -> None:
    """Make the parts that every server can make, and makes alike: the versions of extensions differ."""
    with database.connect() as connection:
        for part in PARTS:
            if part.since == 15 and part.extension is None:
                connection.execute(part.text.encode())


def _run(database: Database, statements: list[str]) -> int:
    """Run what the server accepts; return how many that was."""
    count = 0
    with database.connect() as connection:
        for statement in statements:
            try:
                connection.execute(statement.encode())
                count += 1
            except psycopg.Error:
                continue
    return count


def _read(database: Database) -> Catalog:
    with database.connect() as connection:
        return read_catalog(connection, Scope())


def _same(one: Catalog, other: Catalog) -> bool:
    """Whether nothing differs, by the difference and by the fingerprint; the difference is in the assertion's text."""
    assert said(difference(one, other)) == set()
    return fingerprint(one) == fingerprint(other)


def _dump(database: Database, program: Server | None = None) -> bytes:
    """Return the schema as pg_dump writes it, the server's own or that of a newer one."""
    argv = [str((program or database.server).bin / "pg_dump"), "--schema-only", f"--dbname={database.url}"]
    return subprocess.run(argv, check=True, capture_output=True).stdout


def _restore(database: Database, dump: bytes) -> None:
    argv = [
        str(database.server.bin / "psql"),
        "--no-psqlrc",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        f"--dbname={database.url}",
    ]
    script = b"".join(without_what_servers_refuse(dump.splitlines(keepends=True)))
    done = subprocess.run(argv, input=script, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
