"""All statements about an object: those of its kind, then owner, grants, comment and labels, which all kinds share."""

import re
from collections.abc import Collection, Iterator
from itertools import groupby

from pgrollout.catalog.ddl import Later, Parts, list_of, name_of, relation_of, role_sql, text_of
from pgrollout.catalog.kinds import BY_NAME
from pgrollout.catalog.model import MIGRATING_ROLE, Identity, Object, quoted
from pgrollout.quoting import literal
from pgrollout.secrets import mask_statement

_GRANT = re.compile(
    r"(?P<revoked>revoked from )?(?P<role>.*): (?P<privilege>[A-Z ]+?)(?P<option> WITH GRANT OPTION)?"
    r"(?: GRANTED BY (?P<grantor>.*))?",
    re.DOTALL,
)


def address(it: Object) -> str:
    """Return how COMMENT ON and ALTER name the object: ``TABLE shop.orders``."""
    write = BY_NAME[it.identity.kind].address
    return write(it) if write else str(it.identity)


def statements_of(it: Object, parts: Parts, *, within: Collection[Identity] = ()) -> list[str]:
    """
    Return the SQL of an object, secrets masked; empty where there is none to give.

    Args:
        it: The object.
        parts: The catalog that it is of.
        within: Objects whose SQL stands before: what that of a table has, its columns, is not said again.
    """
    found: list[str] = []
    is_later = False
    for statement in _all(it, parts, within):
        # What is said of something that is made later is said later, too.
        is_later = is_later or isinstance(statement, Later)
        if statement:
            shown = mask_statement(statement)
            found.append(Later(shown) if is_later else shown)
    return found


def _all(it: Object, parts: Parts, within: Collection[Identity]) -> Iterator[str]:
    kind = BY_NAME[it.identity.kind]
    if kind.ddl is None:
        return
    own = kind.ddl(it, parts)
    create = next(own, "")
    is_said = kind.is_inline and kind.is_inline(it, parts) and any(of.identity in within for of in parts.wholes(it))
    if not is_said:
        yield create
    owner = text_of(it, "owner")
    # An owner that ALTER cannot change is whoever makes the object.
    if owner and owner != MIGRATING_ROLE and kind.can_be_given and not text_of(it, "owned by"):
        yield f"ALTER {address(it)} OWNER TO {role_sql(owner)};"
    yield from own
    yield from _grants(it, parts)
    if "comment" in it.properties:
        yield f"COMMENT ON {address(it)} IS {literal(text_of(it, 'comment'))};"
    for label in list_of(it, "security labels"):
        provider, _, text = label.partition(": ")
        yield f"SECURITY LABEL FOR {quoted(provider)} ON {address(it)} IS {literal(text)};"


def _grants(it: Object, parts: Parts) -> Iterator[str]:
    found = [grant for grant in map(_GRANT.fullmatch, list_of(it, "grants")) if grant]
    own = it.identity
    column = f" ({quoted(own.name)})" if own.kind == "COLUMN" else ""
    word = BY_NAME[own.kind].granted_on or own.kind
    on = f"TABLE {relation_of(it)}" if column else f"{word} {name_of(it)}{own.detail}"
    owner = role_sql(text_of(it, "owner") or next((text_of(of, "owner") for of in parts.wholes(it)), MIGRATING_ROLE))
    # Who grants must have the right to, so the owner's grants come first.
    found.sort(key=lambda grant: (grant["revoked"] is None, grant["grantor"] is not None))
    for (revoked, role, option, grantor), same in groupby(
        found, key=lambda grant: grant.group("revoked", "role", "option", "grantor")
    ):
        who = owner if role == "the owner" else role_sql(role)
        privileges = ", ".join(f"{grant['privilege']}{column}" for grant in same)
        if revoked:
            statement = f"REVOKE {privileges} ON {on} FROM {who};"
        else:
            statement = f"GRANT {privileges} ON {on} TO {who}{option or ''};"
        yield f"SET ROLE {role_sql(grantor)};\n{statement}\nRESET ROLE;" if grantor else statement
