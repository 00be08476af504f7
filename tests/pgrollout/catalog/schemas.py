"""
A large schema made by hand: every kind of object that a schema consists of, mostly several, with every option of each.

It is a list of parts, each of which names the parts it needs: so the same schema can be made in other orders. What is
left out, and why: security labels (no provider is installed), tablespaces and everything else that belongs to the
server, large objects (data), collations by ICU and XML (the embedded server has none).

The roles belong to the server. They are made if missing, begin with ``catalog_`` and stay until the tests' server goes.
"""

import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.servers import Database, Server, fresh_database

ROLES = ("catalog_owner", "catalog_app", "catalog_reader", "catalog_lead", "catalog Odd.Röle")


def make_roles(connection: "psycopg.Connection[Any]") -> None:
    """Make the roles that the schema names, NOLOGIN, where the server does not have them yet."""
    for role in ROLES:
        if not connection.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = %s", (role,)).fetchall():
            connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))


@dataclass(frozen=True)
class Part:
    """Some statements that stand together."""

    name: str
    needs: tuple[str, ...]
    """Parts that must have run before."""
    since: int
    """First major version that can run it."""
    extension: str | None
    """Runs only where this extension is available."""
    text: str


def available(connection: "psycopg.Connection[Any]") -> list[Part]:
    """Return the parts that the connection's server can run, in the order of the text."""
    version = connection.info.server_version // 10000
    known = {name for (name,) in connection.execute("SELECT name FROM pg_catalog.pg_available_extensions")}
    return [part for part in PARTS if version >= part.since and (part.extension is None or part.extension in known)]


def shuffled(parts: Sequence[Part], seed: int) -> list[Part]:
    """Return the parts in another order in which each still comes after what it needs."""
    left, done, order = list(parts), set[str](), list[Part]()
    names = {part.name for part in parts}
    generator = random.Random(seed)  # noqa: S311
    while left:
        part = generator.choice([part for part in left if done >= names.intersection(part.needs)])
        left.remove(part)
        done.add(part.name)
        order.append(part)
    return order


def make_large(connection: "psycopg.Connection[Any]", seed: int | None = None) -> None:
    """Make the schema, with a seed in another order than the text's; needs a superuser in autocommit mode."""
    parts = available(connection)
    for part in parts if seed is None else shuffled(parts, seed):
        connection.execute(part.text.encode())


def _parts(text: str) -> tuple[Part, ...]:
    found = []
    for head, body in re.findall(r"^-- part: (.*)\n((?:(?!-- part: ).*\n)*)", text, re.MULTILINE):
        name, *facts = head.split(", ")
        known = dict(fact.split(": ", 1) for fact in facts)
        found.append(
            Part(
                name.replace(" ", "-"),
                tuple(known.get("needs", "").split()),
                int(known.get("since", 15)),
                known.get("extension"),
                body,
            )
        )
    return tuple(found)


PARTS = _parts((Path(__file__).parent / "large.sql").read_text())


def drop_subscriptions(connection: "psycopg.Connection[Any]") -> None:
    """Drop the connection's database's subscriptions, which would keep the database from being dropped."""
    mine = "SELECT subname FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = subdbid"
    for (name,) in connection.execute(f"{mine} WHERE datname = pg_catalog.current_database()").fetchall():
        connection.execute(sql.SQL("DROP SUBSCRIPTION {}").format(sql.Identifier(name)))


@contextmanager
def schema_database(server: Server) -> Iterator[Database]:
    """Make an empty database that has the roles, and may have subscriptions when it goes."""
    with fresh_database(server) as database:
        with database.connect() as connection:
            make_roles(connection)
        try:
            yield database
        finally:
            with database.connect() as connection:
                drop_subscriptions(connection)
