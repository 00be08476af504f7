"""The example in ``migrations/``: what its files promise to whoever reads them first."""

import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from pgrollout import sum_file
from pgrollout.content import read_content
from pgrollout.directory import read_directory
from pgrollout.migration import Migration
from pgrollout.splitter import is_blank
from pgrollout.stages import apply
from tests.servers import Database, Server, fresh_database, missing

ROOT = Path(__file__).parent.parent
DIRECTORY = read_directory(ROOT / "migrations")
ROLES = ("reader_app", "reader_readonly")

KINDS = {
    "a schema": "SELECT FROM pg_namespace WHERE nspname = 'support'",
    "a comment on a schema": "SELECT FROM pg_namespace WHERE obj_description(oid, 'pg_namespace') <> '' AND nspname = 'support'",
    "an extension": "SELECT FROM pg_extension WHERE extname <> 'plpgsql'",
    # Tables and columns.
    "an unlogged table": "SELECT FROM relations WHERE relkind = 'r' AND relpersistence = 'u'",
    "a partitioned table by range": "SELECT FROM partitioned WHERE partstrat = 'r'",
    "a partitioned table by list": "SELECT FROM partitioned WHERE partstrat = 'l'",
    "a partitioned table by hash": "SELECT FROM partitioned WHERE partstrat = 'h'",
    "a default partition": "SELECT FROM partitioned WHERE partdefid <> 0",
    "a partition by default, list, range, hash": "SELECT FROM (SELECT DISTINCT substring("
    "pg_get_expr(relpartbound, oid) from '^DEFAULT|FOR VALUES (?:IN|FROM|WITH)') FROM relations WHERE relispartition "
    "AND relkind = 'r') AS shapes HAVING count(*) = 4",
    "a fill factor": "SELECT FROM relations WHERE relkind = 'r' AND reloptions::text ~ 'fillfactor'",
    "an autovacuum setting": "SELECT FROM relations WHERE reloptions::text ~ 'autovacuum'",
    "row-level security": "SELECT FROM relations WHERE relrowsecurity AND NOT relforcerowsecurity",
    "row-level security, forced": "SELECT FROM relations WHERE relrowsecurity AND relforcerowsecurity",
    "a replica identity by index": "SELECT FROM relations JOIN pg_index ON indrelid = relations.oid "
    "WHERE relreplident = 'i' AND indisreplident",
    "a default": "SELECT FROM columns WHERE atthasdef AND attgenerated = ''",
    "an identity column, always": "SELECT FROM columns WHERE attidentity = 'a'",
    "an identity column by default, with options": "SELECT FROM columns JOIN pg_sequence ON seqrelid = "
    "pg_get_serial_sequence(attrelid::regclass::text, attname)::regclass "
    "WHERE attidentity = 'd' AND seqstart > 1 AND seqcache > 1",
    "a generated column": "SELECT FROM columns WHERE attgenerated = 's'",
    "a column with a collation of ours": "SELECT FROM columns JOIN pg_collation AS c ON c.oid = attcollation "
    "WHERE collnamespace = 'public'::regnamespace",
    "a storage setting": "SELECT FROM columns JOIN pg_type AS t ON t.oid = atttypid WHERE attstorage <> typstorage",
    "a compression": "SELECT FROM columns WHERE attcompression = 'p'",
    "a statistics target": "SELECT FROM columns WHERE attstattarget > 0",
    "a column option": "SELECT FROM columns WHERE attoptions::text ~ 'n_distinct'",
    "a column of a domain": "SELECT FROM columns JOIN pg_type AS t ON t.oid = atttypid WHERE typtype = 'd'",
    "a column of a composite type": "SELECT FROM columns JOIN pg_type AS t ON t.oid = atttypid WHERE typtype = 'c'",
    "a column of an enum": "SELECT FROM columns JOIN pg_type AS t ON t.oid = atttypid WHERE typtype = 'e'",
    "a column of a range type": "SELECT FROM columns JOIN pg_type AS t ON t.oid = atttypid WHERE typtype = 'r'",
    # Constraints and indexes.
    "a primary key": "SELECT FROM constraints WHERE contype = 'p'",
    "a foreign key": "SELECT FROM constraints WHERE contype = 'f' AND confdeltype = 'a'",
    "a foreign key that cascades": "SELECT FROM constraints WHERE contype = 'f' AND confdeltype = 'c'",
    "a foreign key that sets NULL": "SELECT FROM constraints WHERE contype = 'f' AND confdeltype = 'n'",
    "a deferrable foreign key": "SELECT FROM constraints WHERE contype = 'f' AND condeferrable AND NOT condeferred",
    "a deferred unique constraint": "SELECT FROM constraints WHERE contype = 'u' AND condeferred",
    "a check": "SELECT FROM constraints WHERE contype = 'c' AND conrelid <> 0",
    "a deferred exclusion constraint": "SELECT FROM constraints WHERE contype = 'x' AND condeferred",
    "NULLS NOT DISTINCT": "SELECT FROM indexes WHERE indnullsnotdistinct",
    "a partial index": "SELECT FROM indexes WHERE indpred IS NOT NULL",
    "a descending index": "SELECT FROM indexes WHERE indoption::text ~ '3'",
    "an operator class that is not the default": "SELECT FROM indexes WHERE pg_get_indexdef(indexrelid) ~ 'gin_trgm_ops'",
    **{
        f"an index, {method}": f"SELECT FROM indexes JOIN pg_class AS i ON i.oid = indexrelid "
        f"JOIN pg_am ON pg_am.oid = i.relam WHERE amname = '{method}'"
        for method in ("btree", "gin", "gist", "brin")
    },
    "a statistics object": "SELECT FROM pg_statistic_ext WHERE 'm' = ANY (stxkind) AND 'f' = ANY (stxkind)",
    "a statistics object with a target": "SELECT FROM pg_statistic_ext WHERE stxstattarget > 0",
    "a statistics object of an expression": "SELECT FROM pg_statistic_ext WHERE stxexprs IS NOT NULL",
    # Views, triggers, policies.
    "a view": "SELECT FROM relations WHERE relkind = 'v' AND reloptions IS NULL",
    "a view with a security barrier": "SELECT FROM relations WHERE relkind = 'v' "
    "AND 'security_barrier=true' = ANY (reloptions)",
    "a view with the rights of whoever asks": "SELECT FROM relations WHERE relkind = 'v' "
    "AND 'security_invoker=true' = ANY (reloptions)",
    "a materialised view with a unique index": "SELECT FROM relations JOIN pg_index ON indrelid = relations.oid "
    "WHERE relkind = 'm' AND relispopulated AND indisunique",
    "a row trigger": "SELECT FROM triggers WHERE tgtype & 1 = 1 AND tgtype & 2 = 2 AND tgenabled = 'O'",
    "a statement trigger with a transition table": "SELECT FROM triggers WHERE tgtype & 1 = 0 AND tgnewtable IS NOT NULL",
    "a trigger of some columns": "SELECT FROM triggers WHERE tgattr::text <> ''",
    "a trigger with a condition": "SELECT FROM triggers WHERE tgqual IS NOT NULL",
    "a trigger with arguments": "SELECT FROM triggers WHERE tgnargs = 2",
    "a trigger that always fires": "SELECT FROM triggers WHERE tgenabled = 'A'",
    "a policy for everything, with a check": "SELECT FROM pg_policy WHERE polcmd = '*' AND polwithcheck IS NOT NULL",
    "a policy for one command": "SELECT FROM pg_policy WHERE polpermissive AND polcmd = 'r'",
    "a restrictive policy": "SELECT FROM pg_policy WHERE NOT polpermissive",
    # Types, functions, sequences.
    "an enum with a value added later": "SELECT FROM pg_enum WHERE enumsortorder <> trunc(enumsortorder)",
    "a domain with a check": "SELECT FROM pg_constraint JOIN types ON types.oid = contypid WHERE typtype = 'd'",
    "a composite type": "SELECT FROM relations WHERE relkind = 'c'",
    "a range type": "SELECT FROM pg_range JOIN types ON types.oid = rngtypid WHERE rngsubdiff <> 0",
    "a multirange type": "SELECT FROM types WHERE typtype = 'm'",
    "a function in SQL, parsed": "SELECT FROM functions WHERE prosqlbody IS NOT NULL AND prokind = 'f'",
    "a function in PL/pgSQL": "SELECT FROM functions JOIN pg_language AS l ON l.oid = prolang WHERE lanname = 'plpgsql'",
    "a function with its owner's rights and a setting": "SELECT FROM functions WHERE prosecdef AND proconfig IS NOT NULL",
    "a function nobody may call until it is granted": "SELECT FROM functions WHERE prokind = 'f' AND NOT EXISTS "
    "(SELECT FROM aclexplode(coalesce(proacl, acldefault('f', proowner))) WHERE grantee = 0)",
    "a procedure": "SELECT FROM functions WHERE prokind = 'p'",
    "an aggregate": "SELECT FROM functions WHERE prokind = 'a'",
    "an operator": "SELECT FROM pg_operator WHERE oprnamespace = 'public'::regnamespace "
    "AND oprname = '===' AND oprcom <> 0 AND oprrest <> 0",
    "a sequence of a table": "SELECT FROM relations JOIN pg_depend ON classid = 'pg_class'::regclass "
    "AND objid = relations.oid AND deptype = 'a' WHERE relkind = 'S'",
    "a sequence of its own": "SELECT FROM relations WHERE relkind = 'S' AND NOT EXISTS (SELECT FROM pg_depend "
    "WHERE classid = 'pg_class'::regclass AND objid = relations.oid AND deptype IN ('a', 'i'))",
    "a collation": "SELECT FROM pg_collation WHERE collnamespace = 'public'::regnamespace AND collprovider = 'c'",
    "a text search configuration": "SELECT FROM pg_ts_config WHERE cfgnamespace = 'public'::regnamespace",
    # Who may do what, and who is told.
    **{
        f"a grant on {what}": f"SELECT FROM {catalog}, aclexplode({acl}) WHERE grantee = 'reader_app'::regrole"
        for what, catalog, acl in (
            ("a schema", "pg_namespace", "nspacl"),
            ("a table", "relations", "relacl"),
            ("a column", "columns", "attacl"),
            ("a function", "functions", "proacl"),
        )
    },
    "a grant on a sequence": "SELECT FROM relations, aclexplode(relacl) "
    "WHERE relkind = 'S' AND grantee = 'reader_app'::regrole",
    "default privileges of a schema": "SELECT FROM pg_default_acl WHERE defaclobjtype = 'S' AND defaclnamespace <> 0",
    "default privileges that take": "SELECT FROM pg_default_acl WHERE defaclobjtype = 'f' AND defaclnamespace = 0",
    "a publication with column lists": "SELECT FROM pg_publication_rel WHERE prattrs IS NOT NULL",
    "a publication with a row filter": "SELECT FROM pg_publication_rel WHERE prqual IS NOT NULL",
    "a publication of some commands, by the root": "SELECT FROM pg_publication WHERE pubinsert AND NOT pubdelete AND pubviaroot",
    **{
        f"a comment on {what}": f"SELECT FROM {catalog} WHERE obj_description(oid, '{of}') <> ''"
        for what, catalog, of in (
            ("a table or view", "relations", "pg_class"),
            ("a type", "types", "pg_type"),
            ("a function", "functions", "pg_proc"),
            ("a policy", "pg_policy", "pg_policy"),
            ("a publication", "pg_publication", "pg_publication"),
        )
    },
    "a comment on a column": "SELECT FROM columns WHERE col_description(attrelid, attnum) <> ''",
}
"""Kinds of objects, and their properties that an application sets, each with a query that finds one."""
OURS = """
    WITH ours AS (
        SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'support')
    ), extensions AS (
        SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
    ), relations AS (
        SELECT * FROM pg_class WHERE relnamespace IN (SELECT oid FROM ours)
    ), columns AS (
        SELECT * FROM pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT oid FROM relations WHERE relkind IN ('r', 'p'))
    ), partitioned AS (
        SELECT * FROM pg_partitioned_table WHERE partrelid IN (SELECT oid FROM relations)
    ), constraints AS (
        SELECT * FROM pg_constraint WHERE conrelid IN (SELECT oid FROM relations)
    ), indexes AS (
        SELECT * FROM pg_index WHERE indrelid IN (SELECT oid FROM relations)
    ), triggers AS (
        SELECT * FROM pg_trigger WHERE NOT tgisinternal
    ), types AS (
        SELECT * FROM pg_type
        WHERE typnamespace IN (SELECT oid FROM ours) AND ('pg_type'::regclass, oid) NOT IN (SELECT * FROM extensions)
    ), functions AS (
        SELECT * FROM pg_proc
        WHERE pronamespace IN (SELECT oid FROM ours) AND ('pg_proc'::regclass, oid) NOT IN (SELECT * FROM extensions)
    )
"""
"""What the queries call ours: the catalogs without the server's and the extensions' objects."""

every_migration = pytest.mark.parametrize("migration", DIRECTORY.migrations, ids=lambda migration: migration.version)


def test_sum_file_is_valid() -> None:
    """The sum file vouches for the files as they are."""
    assert sum_file.check(DIRECTORY.migrations, DIRECTORY.sum_file) == DIRECTORY.sum_file


def test_versions_are_times_in_order() -> None:
    """There are enough files to learn from, over two years; their versions are times, each later than the one before."""
    times = [datetime.strptime(migration.version, "%Y%m%d%H%M%S") for migration in DIRECTORY.migrations]

    assert len(times) >= 30
    assert times == sorted(set(times))
    assert times[-1] - times[0] >= timedelta(days=2 * 365)


@every_migration
def test_file_opens_with_why(migration: Migration) -> None:
    """A file opens with a sentence or more about why it exists, after its directive if it has one."""
    text = migration.content.decode().removeprefix("-- atlas:txmode none\n\n")
    opening = re.match(r"(?:--.*\n)+", text)

    assert opening
    assert len(opening[0].split()) >= 12
    assert re.search(r"\.$", opening[0], re.MULTILINE)


@every_migration
def test_file_is_tidy(migration: Migration) -> None:
    """Lines end in LF, the last one too, without spaces before it."""
    assert b"\r" not in migration.content
    assert b" \n" not in migration.content
    assert migration.content.endswith(b";\n")


@every_migration
def test_splitters_agree(migration: Migration) -> None:
    """Both splitters see the same statements, and nothing in the file needs a remark."""
    content = read_content(migration)

    assert content.statements
    assert not any(is_blank(statement.text) for statement in content.statements)
    assert content.problems == ()


@every_migration
def test_file_without_transaction_has_one_statement(migration: Migration) -> None:
    """What cannot run in a transaction stands alone in its file, which says so."""
    content = read_content(migration)
    alone = [
        s
        for s in content.statements
        if ("CONCURRENTLY" in s.keywords and s.keywords[0] != "REFRESH") or s.keywords[:1] == ("CALL",)
    ]

    assert content.transactional is not bool(alone)
    assert content.transactional or len(content.statements) == 1


@every_migration
def test_waiver_gives_its_reason(migration: Migration) -> None:
    """A waiver stands on its statement, below the reason for it."""
    assert read_content(migration).directives.nolint == ()
    for statement in read_content(migration).statements:
        if any("atlas:nolint" in comment for comment in statement.comments):
            assert re.search(r"\bWaived, because\b", "".join(statement.comments))


@pytest.mark.parametrize(
    "pattern",
    [
        r"^CREATE EXTENSION",
        r"^CREATE TYPE \w+ AS ENUM",
        r"^ALTER TYPE \w+ ADD VALUE",
        r"PARTITION BY RANGE",
        r"GENERATED ALWAYS AS \([^;]+\) STORED",
        r"USING gin \(feed_id, search\)",
        r"^CREATE FUNCTION [^;]+ LANGUAGE plpgsql",
        r"^CREATE FUNCTION [^;]+ BEGIN ATOMIC",
        r"^CREATE TRIGGER",
        r"^CREATE VIEW",
        r"^GRANT",
        r"^CALL backfill",
        r"^REFRESH MATERIALIZED VIEW CONCURRENTLY",
        r"^ALTER DEFAULT PRIVILEGES",
        r"^INSERT INTO languages",
        r"^CREATE INDEX CONCURRENTLY",
        r"^CREATE UNIQUE INDEX CONCURRENTLY",
        r"^DROP INDEX CONCURRENTLY",
        r"FOREIGN KEY [^;]+ NOT VALID",
        r"CHECK [^;]+ NOT VALID",
        r"VALIDATE CONSTRAINT",
        r"SET NOT NULL",
        r"UNIQUE USING INDEX",
        r"DROP NOT NULL",
        r"DROP COLUMN",
        r"ATTACH PARTITION",
        r"REPLICA IDENTITY USING INDEX",
    ],
)
def test_example_covers(pattern: str) -> None:
    """Whoever looks for how a thing is done finds it in the example."""
    statements = [s.text for migration in DIRECTORY.migrations for s in read_content(migration).statements]

    assert any(re.search(pattern, re.sub(r"\s+", " ", text)) for text in statements)


def applied(database: Database, *, amount: int | None = None) -> apply.ApplyReport:
    """Apply the example, with the roles that it expects to be there."""
    (available,) = database.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'citext'")[0]
    if not available:
        missing("contrib", f"this PostgreSQL {database.server.version} has no extensions, and the example needs some")
    for role in ROLES:
        if not database.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            database.execute(f"CREATE ROLE {role} NOLOGIN")
            database.roles.append(role)
    return apply.run(apply.ApplyRequest(database=database.settings(ROOT), amount=amount))


def test_every_kind_of_object_occurs(any_database: Database) -> None:
    """Each kind of object that an application uses is in the schema that the example makes."""
    report = applied(any_database)

    assert report.after == DIRECTORY.migrations[-1].version
    with any_database.connect() as connection:
        absent = [kind for kind, query in KINDS.items() if not connection.execute(f"{OURS} {query}".encode()).rowcount]
    assert not absent


def schema(database: Database) -> str:
    """Return the schema as pg_dump writes it, without the history and the ledger, nor the key that each dump has."""
    kept = ["--schema-only", "--exclude-schema=atlas_schema_revisions", "--exclude-schema=pgrollout"]
    argv = [str(database.server.bin / "pg_dump"), *kept, database.url]
    dumped = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", dumped, flags=re.MULTILINE)


def test_several_runs_make_what_one_makes(server: Server) -> None:
    """A database that got a few files in each run has the schema of one that got all in one run."""
    with fresh_database(server) as at_once, fresh_database(server) as by_step:
        applied(at_once)
        while applied(by_step, amount=9).applied:
            pass

        assert "CREATE POLICY" in schema(at_once)
        assert schema(by_step) == schema(at_once)
