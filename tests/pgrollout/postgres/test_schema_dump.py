"""Schema dumps: what is in them, and what is not."""

from pgrollout.catalog.scope import Scope
from pgrollout.postgres import programs
from pgrollout.postgres.schema_dump import schema_sql
from tests.servers import Database

SCHEMA = """
CREATE TABLE feeds (id serial PRIMARY KEY, title varchar);
COMMENT ON TABLE feeds IS 'what is read';
CREATE SCHEMA pgrollout CREATE TABLE run (id int);
CREATE TABLE atlas_schema_revisions (version text PRIMARY KEY);
CREATE SCHEMA app CREATE TABLE users (id serial);
CREATE EXTENSION dblink;
CREATE SERVER s FOREIGN DATA WRAPPER dblink_fdw OPTIONS (host 'h');
CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u', password 'prodsecret9');
"""


def dumped(database: Database, scope: Scope) -> str:
    """Return the dump of what is in scope."""
    program = programs.fitting("pg_dump", at_least=18, near=18, tls=False)
    with database.connect() as connection:
        return schema_sql(connection, scope, program)


def test_schema_without_ours_and_without_secrets(database: Database) -> None:
    """The dump has the schema with its comments, but no table of ours or Atlas's, and no password."""
    database.execute(SCHEMA)

    text = dumped(database, Scope(revisions_schema="public"))

    assert "CREATE TABLE public.feeds" in text
    assert "what is read" in text
    assert "CREATE USER MAPPING" in text
    assert "pgrollout" not in text
    assert "atlas_schema_revisions" not in text
    assert "prodsecret9" not in text


def test_scope(database: Database) -> None:
    """What is left out is left out with the sequences of its columns."""
    database.execute(SCHEMA)

    text = dumped(database, Scope(exclude=("public.feeds",), revisions_schema="public"))

    assert "feeds" not in text
    assert "CREATE SEQUENCE app.users_id_seq" in text
    assert "app" not in dumped(database, Scope(schemas=("public",))).replace("application", "")
