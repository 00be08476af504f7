"""
Baselines: keeps the schema that a database has when its history begins, for verify to build upon.

A directory need not make what was there before its first file. Kept as SQL of ``pg_dump`` in the ledger, without secrets.
"""

import logging
from collections.abc import Sequence

from pgrollout.errors import BackupImpossible, ProgramMissing
from pgrollout.postgres import fingerprints, programs, schema_dump
from pgrollout.postgres.catalog import scope_of
from pgrollout.postgres.connection import Connection
from pgrollout.postgres.fingerprints import Baseline
from pgrollout.postgres.state import State
from pgrollout.progress import reporting
from pgrollout.settings import Database

log = logging.getLogger(__name__)


def keep_schema(connection: Connection, database: Database, state: State, version: str, run_id: str) -> Sequence[str]:
    """
    Return the SQL that keeps the schema as it is now for what the database has at this version.

    Nothing, with a warning, where no ``pg_dump`` can read it: verify then goes by the directory alone.

    Raises:
        TableNotReadable: Somebody has a table locked.
    """
    scope = scope_of(database, state.table)
    try:
        major = connection.info.server_version // 10000
        program = programs.fitting("pg_dump", at_least=major, near=major, tls=bool(connection.pgconn.ssl_in_use))
        with reporting("reading the schema for the baseline"):
            text = schema_dump.schema_sql(connection, scope, program, application_name=f"pgrollout/{run_id}")
    except (ProgramMissing, BackupImpossible) as error:
        log.warning('schema of the baseline not kept reason="%s"', str(error).partition("\n")[0])
        return ()
    kept = Baseline(version, connection.info.server_version, text)
    return (fingerprints.baseline_sql(state.ledger.schema, state.table.schema, kept),)
