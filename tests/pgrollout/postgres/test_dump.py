"""Dumps: command lines, tables of contents, and what failures mean. Dumping itself is tested with the stages."""

from pathlib import Path

import pytest

from pgrollout.errors import ServerUnavailable, TableNotReadable
from pgrollout.postgres import dump, programs
from pgrollout.postgres.dump import Frozen
from pgrollout.postgres.programs import Ended, Program

PROGRAM = Program(Path("/usr/lib/postgresql/18/bin/pg_dump"), "18.6")
MOMENT = Frozen(
    snapshot="1-2",
    dbname="reader",
    size_bytes=1,
    wal_position="0/1",
    tables=("public.a", "public.b"),
    entries={
        b"TABLE public a me": "public.a",
        b"TABLE DATA public a me": "public.a",
        b"TABLE public b me": "public.b",
    },
    roles=(),
)


def test_pg_dump_command_names_no_server() -> None:
    """Where the database is, and the password, are left to the environment."""
    argv = dump.pg_dump_argv(PROGRAM, Path("/b/dump"), jobs=3, schema_only=True, snapshot="1-2", role="owner")

    assert argv == [
        "/usr/lib/postgresql/18/bin/pg_dump",
        "--no-password",
        "--format=directory",
        "--file=/b/dump",
        "--jobs=3",
        "--snapshot=1-2",
        "--lock-wait-timeout=60000",
        "--schema-only",
        "--role=owner",
    ]


def test_script_is_one_transaction() -> None:
    """A restore is a script of one transaction, which stops at its first error."""
    script = dump.pg_restore_argv(PROGRAM, Path("/b/dump"), role=None, no_owner=True, single=True)
    psql = dump.psql_argv(PROGRAM, "odd=name host=elsewhere")

    assert script[1:] == ["--single-transaction", "--file=-", "--no-owner", "--no-privileges", "/b/dump"]
    assert "--set=ON_ERROR_STOP=1" in psql
    assert psql[-1] == "--dbname=dbname='odd=name host=elsewhere'"


@pytest.mark.parametrize(
    ("entries", "schema_only", "missing"),
    [
        ([b"TABLE public a me", b"TABLE DATA public a me", b"TABLE public b me"], False, ()),
        ([b"TABLE public a me", b"TABLE public b me"], False, ("public.a",)),
        ([b"TABLE public a me", b"TABLE public b me"], True, ()),
        ([b"TABLE public a you"], False, ("public.a", "public.b")),
    ],
)
def test_missing_tables_are_found(entries: list[bytes], schema_only: bool, missing: tuple[str, ...]) -> None:
    """A table that is not in the dump, or not with its rows, is named once."""
    assert dump.missing(MOMENT, entries, schema_only=schema_only) == missing


def test_contents_of_something_else(tmp_path: Path) -> None:
    """What is no dump is refused in pg_restore's words."""
    program = programs.fitting("pg_restore", at_least=0, near=18, tls=False)

    with pytest.raises(ValueError, match="pg_restore: error: "):
        dump.contents(program, tmp_path)


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ('pg_dump: error: could not obtain lock on relation "public.t"\nThis usually means …', TableNotReadable),
        ("pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout", TableNotReadable),
        ('pg_dump: error: connection to server on socket "/x" failed: FATAL:  too many clients', ServerUnavailable),
        (
            "pg_dump: error: query failed: FATAL:  terminating connection due to administrator command",
            ServerUnavailable,
        ),
        ("pg_dump: error: query failed: ERROR:  permission denied for table t", None),
    ],
)
def test_what_waiting_can_cure(errors: str, kind: type[Exception] | None) -> None:
    """Locks and lost connections are a matter of waiting, a missing right is not."""
    found = dump.failure("reader", Ended(1, b"", errors, 1000), None)

    assert type(found) is (kind or type(None))


def test_rows_are_never_edited() -> None:
    """What servers refuse is left out of the SQL, and only there."""
    script = (
        b"SET transaction_timeout = 0;\n"
        b"ALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=35439504);\n"
        b"ALTER TABLE ONLY public.t ALTER COLUMN b SET (n_distinct=7, pg_attver=35439504);\n"
        b"ALTER TABLE ONLY public.t ALTER COLUMN c SET (pg_attver=35439504, n_distinct=7);\n"
        b"COPY public.t (a) FROM stdin;\n"
        b"SET transaction_timeout = 0;\n"
        b"ALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=1);\n"
        b"\\.\n"
        b"SELECT 'pg_attver=1';\n"
    )

    edited = b"".join(dump.without_what_servers_refuse(script.splitlines(keepends=True)))

    assert edited == (
        b"ALTER TABLE ONLY public.t ALTER COLUMN b SET (n_distinct=7);\n"
        b"ALTER TABLE ONLY public.t ALTER COLUMN c SET (n_distinct=7);\n"
        b"COPY public.t (a) FROM stdin;\n"
        b"SET transaction_timeout = 0;\n"
        b"ALTER TABLE ONLY public.t ALTER COLUMN a SET (pg_attver=1);\n"
        b"\\.\n"
        b"SELECT 'pg_attver=1';\n"
    )


def test_settings_of_a_function_stay() -> None:
    """The setting that older servers refuse is left out where pg_restore makes it, and not in a function's body."""
    body = b"-- Name: f(); Type: FUNCTION; Schema: public; Owner: me\n--\n\nAS $$\nSET transaction_timeout = 0;\n$$;\n"
    script = b"SET lock_timeout = 0;\nSET transaction_timeout = 0;\n\n--\n" + body

    edited = b"".join(dump.without_what_servers_refuse(script.splitlines(keepends=True)))

    assert edited == b"SET lock_timeout = 0;\n\n--\n" + body
