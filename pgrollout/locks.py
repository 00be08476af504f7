"""
Locks: which existing relations each statement of a file locks in SHARE or stronger, so that somebody may have to wait.

Follows a file's statements in order: what the file has made itself nobody else can hold, and an unqualified name means
what the file's search path says. Most statements are decided by their first words; the others are parsed, and read by
``command_locks``. What cannot be parsed has no locks here: then the watchdog alone bounds what others wait.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from pgrollout import command_locks, parser
from pgrollout.lock_mode import Lock, Mode, Reach
from pgrollout.nodes import Name, SetSearchPath
from pgrollout.statement import Statement

__all__ = ["Lock", "Mode", "Reach", "guarded"]

_WORD = r'(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z_0-9$]*)'
_NAME = rf"(?!IF\b)((?:{_WORD}\s*\.\s*)?{_WORD})(?=[\s(;]|$)"
_CREATE = re.compile(
    rf"CREATE\s+(?:(?:GLOBAL|LOCAL)\s+)?(TEMP\s+|TEMPORARY\s+)?(?:UNLOGGED\s+)?(?:TABLE|SEQUENCE|VIEW)\s+{_NAME}",
    re.IGNORECASE,
)
_REFERS = re.compile(r"REFERENCES|PARTITION", re.IGNORECASE)
"""Words of a CREATE TABLE that locks other tables; INHERITS and LIKE block neither reads nor writes."""
_ALTER_TABLE = re.compile(rf"ALTER\s+TABLE\s+(?:ONLY\s+)?{_NAME}", re.IGNORECASE)
_CREATE_INDEX = re.compile(rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:{_WORD}\s+)?ON\s+(?:ONLY\s+)?{_NAME}", re.IGNORECASE)
_MORE_THAN_ITSELF = re.compile(r"REFERENCES|PARTITION|RENAME|SCHEMA|DROP|TYPE|ALTER\s+CONSTRAINT", re.IGNORECASE)
"""Words of an ALTER TABLE that locks other tables, or gives the table another name."""
_SEARCH_PATH = re.compile(r"search_path|SCHEMA|ROLE|AUTHORIZATION|\bALL\b", re.IGNORECASE)
_RESETS = re.compile(r"^\s*(?:RESET|DISCARD)\b|\bDEFAULT\b", re.IGNORECASE)
_DOTTED = re.compile(_WORD)

_LOCKING = {
    "ALTER": {
        "DOMAIN", "FOREIGN", "INDEX", "MATERIALIZED", "POLICY", "RULE", "SCHEMA", "SEQUENCE", "TABLE", "TRIGGER", "TYPE", "VIEW",
    },
    "CREATE": {
        "CONSTRAINT", "FOREIGN", "GLOBAL", "INDEX", "LOCAL", "MATERIALIZED", "OR", "POLICY", "RULE", "SCHEMA", "SEQUENCE",
        "TABLE", "TEMP", "TEMPORARY", "TRIGGER", "UNIQUE", "UNLOGGED", "VIEW",
    },
    "DROP": {
        "DOMAIN", "FOREIGN", "INDEX", "MATERIALIZED", "POLICY", "RULE", "SCHEMA", "SEQUENCE", "TABLE", "TRIGGER", "TYPE", "VIEW",
    },
}  # fmt: skip
"""By a statement's first word the second words of those that may lock, make or rename a relation."""
_ALWAYS_LOCKING = frozenset({"CLUSTER", "LOCK", "REFRESH", "REINDEX", "TRUNCATE"})
_OTHER_REPLACEABLE = frozenset({"AGGREGATE", "FUNCTION", "LANGUAGE", "PROCEDURE"})
"""After CREATE OR REPLACE: nothing to lock."""
_OWN = frozenset(
    {Reach.ALONE, Reach.PARTITIONS, Reach.TREE, Reach.DEFAULT, Reach.PARENT, Reach.REFERENCED, Reach.REFERENCING}
)
"""What of a relation that the file has made is its own, or locked by the file since it made it."""


def guarded(statements: Sequence[Statement], *, custom_delimiter: bool = False) -> dict[int, tuple[Lock, ...]]:
    """
    Return the locks of the statements that have any, by the statement's index.

    Args:
        statements: Of one file, in order; those that come first say what the others need not guard.
        custom_delimiter: The file has a delimiter of its own, so that a statement may be several commands.
    """
    so_far = _SoFar(custom_delimiter)
    found = {statement.index: so_far.locks(statement) for statement in statements}
    return {index: locks for index, locks in found.items() if locks}


class _SoFar:
    """What the statements up to now have made and set."""

    def __init__(self, custom_delimiter: bool) -> None:
        self._several = custom_delimiter
        self._made: set[Name] = set()
        self._path: tuple[str, ...] | None = None

    def locks(self, statement: Statement) -> tuple[Lock, ...]:
        """Return the locks of the next statement."""
        words, text = statement.keywords, statement.text
        match words[:1]:
            case ("SET" | "RESET" | "DISCARD",) if _SEARCH_PATH.search(text):
                self._follow_path(text)
            case ("SELECT",) if "set_config" in text.lower():
                self._follow_path(text)
        match words[:1]:
            case ("DO" | "CALL" | "DISCARD" | "ROLLBACK" | "ABORT",):
                self._made.clear()
        if self._several or (_may_lock(words) and not self._is_on_own(words, text)):
            return self._parsed(words, text)
        return ()

    def _is_on_own(self, words: tuple[str, ...], text: str) -> bool:
        """Whether only what the file has made is locked, told without the parser: the commonest statements."""
        if "--" in text or "/*" in text:
            return False
        if words[0] == "CREATE":
            made = _CREATE.match(text)
            if made and not _REFERS.search(text):
                self._made.add(_name(made[2], "pg_temp" if made[1] else ""))
                return True
            index = _CREATE_INDEX.match(text)
            return index is not None and self._has_made(_name(index[1]))
        if words[:2] == ("ALTER", "TABLE") and not _MORE_THAN_ITSELF.search(text):
            altered = _ALTER_TABLE.match(text)
            return altered is not None and self._has_made(_name(altered[1]))
        return False

    def _has_made(self, name: Name) -> bool:
        return name in self._made or (not name.schema and Name("pg_temp", name.name) in self._made)

    def _parsed(self, words: tuple[str, ...], text: str) -> tuple[Lock, ...]:
        if not parser.is_available():
            return ()
        try:
            commands = parser.commands(text)
        except (parser.SyntaxProblem, parser.CannotAnalyse):
            return ()
        found: list[Lock] = []
        for kind, command in commands:
            found += (lock for lock in command_locks.command_locks(kind, command) if self._is_others(lock))
            if name := command_locks.made(kind, command):
                self._made.add(name)
            if (names := command_locks.moved(kind, command)) and self._has_made(names[0]):
                self._made.discard(names[0])
                self._made.add(names[1])
            gone = command_locks.dropped(kind, command)
            self._made = self._made.difference(gone) if gone is not None else set()
        if words[:2] == ("ALTER", "SCHEMA"):
            self._made.clear()
        return tuple(dict.fromkeys(replace(lock, path=self._path_of(lock)) for lock in found))

    def _is_others(self, lock: Lock) -> bool:
        return lock.reach not in _OWN or not self._has_made(lock.relation)

    def _path_of(self, lock: Lock) -> tuple[str, ...] | None:
        return None if lock.relation.schema or lock.reach is Reach.SCHEMA else self._path

    def _follow_path(self, text: str) -> None:
        """From here on an unqualified name may mean another relation."""
        self._made = {name for name in self._made if name.schema}
        try:
            nodes = parser.parse_statement(text)
        except (parser.SyntaxProblem, parser.CannotAnalyse):
            nodes = ()
        path = next((node.schemas for node in nodes if isinstance(node, SetSearchPath)), None)
        if path is None and not re.search("search_path", text, re.IGNORECASE):
            return  # SET ROLE, or another set_config
        self._path = None if _RESETS.search(text) else path


def _may_lock(words: tuple[str, ...]) -> bool:
    if words[:1] and words[0] in _ALWAYS_LOCKING:
        return True
    if len(words) < 2 or words[1] not in _LOCKING.get(words[0], ()):
        return False
    return "CONCURRENTLY" not in words and not (words[1] == "OR" and _OTHER_REPLACEABLE.intersection(words))


def _name(text: str, schema: str = "") -> Name:
    parts = [part[1:-1].replace('""', '"') if part[0] == '"' else part.lower() for part in _DOTTED.findall(text)]
    return Name(parts[-2] if len(parts) > 1 else schema, parts[-1])
