"""``python -m benchmarks.read_schema URL``: reads a schema as ``pgrollout schema`` does, and prints what it is."""

import json
import sys
import tempfile

import psycopg

from pgrollout.catalog.scope import Scope
from pgrollout.catalog.stored import stored
from pgrollout.postgres.catalog import read_catalog
from pgrollout.postgres.connection import libpq_url


def main() -> None:
    """Read the schema; with ``--all`` store it too, and count the queries."""
    with psycopg.connect(libpq_url(sys.argv[1]), autocommit=True) as connection:
        if "--all" not in sys.argv:
            read_catalog(connection, Scope())
            return
        with tempfile.TemporaryFile("w+b") as trace:
            connection.pgconn.trace(trace.fileno())
            catalog = read_catalog(connection, Scope())
            connection.pgconn.untrace()
            trace.seek(0)
            queries = sum(
                1 for line in trace if line.split(b"\t")[3:4] in ([b"Parse"], [b"Query"]) or b"\tParse\t" in line
            )
    print(json.dumps({"objects": len(catalog.objects), "queries": queries, "stored_bytes": len(stored(catalog))}))


if __name__ == "__main__":
    main()
