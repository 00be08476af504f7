"""Each single change of the large schema is found, named as what it is, and nothing else is said."""

from collections.abc import Sequence
from typing import Any

import psycopg
import pytest

from pgrollout.catalog.difference import Change, Difference, difference
from pgrollout.catalog.fingerprint import digest, fingerprint
from pgrollout.catalog.model import Catalog
from pgrollout.catalog.scope import Scope
from pgrollout.postgres.catalog import read_catalog
from tests.pgrollout.catalog.mutations import MUTATIONS, Mutation
from tests.pgrollout.catalog.schemas import make_large, schema_database
from tests.servers import Server

AT_ONCE = 20
"""Mutations that are read back at once; those of a batch that gives another difference are tried by halves."""
SHARE = {15: 3, 16: 3, 18: 1}
"""Of how many mutations one is tried, by major version."""
SHOWN = 40


def test_each_mutation_is_found_and_nothing_else(any_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Each mutation gives exactly the difference that is expected of it, and another digest of just those objects."""
    with schema_database(any_server) as database:
        with database.connect() as connection:
            make_large(connection)
        with database.connect(autocommit=False) as connection:
            before = read_catalog(connection, Scope())
            known = {name for (name,) in connection.execute("SELECT extname FROM pg_extension")}
            connection.rollback()
            mutations = [
                one
                for one in MUTATIONS
                if one.since <= any_server.version and (one.extension is None or one.extension in known)
            ][:: SHARE[any_server.version]]
            failures = [failure for batch in _batches(mutations) for failure in _failures(connection, before, batch)]

    with capsys.disabled():
        found = len(mutations) - len(failures)
        print(f" PostgreSQL {any_server.version}: {found} of {len(mutations)} mutations found exactly ", end="")
    assert not failures, f"{len(failures)} of {len(mutations)}:\n" + "\n".join(failures[:SHOWN])


def _batches(mutations: Sequence[Mutation]) -> list[list[Mutation]]:
    """Return batches of mutations, each of them of another object, and as far apart in the list as can be."""
    batches: list[list[Mutation]] = [[] for _ in range(-(-len(mutations) // AT_ONCE))]
    for at, one in enumerate(mutations):
        turns = [batches[(at + turn) % len(batches)] for turn in range(len(batches))]
        free = (batch for batch in turns if not any(one.objects & other.objects for other in batch))
        next(free, turns[0]).append(one)
    unchanged = [one for one in mutations if not one.expected]
    return [[one for one in batch if one.expected] for batch in batches] + [unchanged]


def _failures(
    connection: "psycopg.Connection[tuple[Any, ...]]", before: Catalog, batch: Sequence[Mutation]
) -> list[str]:
    """Return what is wrong with the mutations of a batch, one text for each that is wrong by itself."""
    wrong = _wrong(connection, before, batch)
    if wrong and len(batch) > 1:
        half = len(batch) // 2
        return _failures(connection, before, batch[:half]) + _failures(connection, before, batch[half:])
    return ["\n    ".join([batch[0].sql, *wrong])] if wrong else []


def _wrong(connection: "psycopg.Connection[tuple[Any, ...]]", before: Catalog, batch: Sequence[Mutation]) -> list[str]:
    expected = {pair for one in batch for pair in one.expected}
    if len(expected) != sum(len(one.expected) for one in batch):
        return ["two of the batch expect the same"]
    try:
        for one in batch:
            connection.execute(one.sql.encode())
        after = read_catalog(connection, Scope())
    except psycopg.Error as error:
        return [f"failed: {error}"]
    finally:
        connection.rollback()
    got = said(difference(before, after))
    wrong = [f"not said: {identity}: {what}" for identity, what in sorted(expected - got)]
    wrong += [f"said too: {identity}: {what}" for identity, what in sorted(got - expected)]
    if (fingerprint(before) == fingerprint(after)) != (not expected):
        wrong.append("not told by the fingerprint")
    named = {identity for identity, _ in got}
    digests = [
        {str(key): digest(it) for key, it in one.objects.items() if str(key) in named} for one in (before, after)
    ]
    wrong += [
        f"not told by the digest of {identity}"
        for identity in sorted(named)
        if digests[0].get(identity) == digests[1].get(identity)
    ]
    return wrong


def said(found: Difference) -> set[tuple[str, str]]:
    """Return what a difference says, in the words of the mutations."""
    pairs = set()
    for one in found.objects:
        match one.change:
            case Change.ADDED:
                pairs.add((str(one.identity), "unexpected"))
            case Change.REMOVED:
                pairs.add((str(one.identity), "missing"))
            case Change.RENAMED:
                pairs.add((str(one.identity), f"renamed to {one.renamed_to}"))
        pairs |= {(str(one.identity), change.name) for change in one.properties}
    return pairs
