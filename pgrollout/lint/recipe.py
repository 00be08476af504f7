"""
Recipes: how to do what made others wait without making anybody wait.

Asked when the stall budget has ended a statement: the remedy of the rule that has a finding there, else what its first
words suggest. Source of the rewrites: the rules' own.
"""

from pgrollout.content import Content
from pgrollout.lint import lint

LOCKS = ("PG", "MF")
"""Codes of the rules about locks, and about data, begin so."""
_BY_WORDS: dict[tuple[str, ...], str] = {
    (
        "UPDATE",
    ): "Change the rows in batches, each a statement of its own, in a file that starts with `-- atlas:txmode none`.",
    (
        "DELETE",
    ): "Delete the rows in batches, each a statement of its own, in a file that starts with `-- atlas:txmode none`.",
    (
        "VACUUM",
    ): "VACUUM FULL locks the table until it is written anew: plain VACUUM does not; pg_repack does it online.",
    ("CLUSTER",): "CLUSTER locks the table until it is written anew; pg_repack does it online.",
    ("REINDEX",): "REINDEX … CONCURRENTLY lets others go on.",
    ("REFRESH",): "REFRESH MATERIALIZED VIEW CONCURRENTLY lets readers go on; it needs a unique index.",
}
_AT_COMMIT = (
    "Deferred constraints and triggers do their work at COMMIT, while all locks of the file are held: put what locks into "
    "another file, and change fewer rows at once."
)
_OTHERWISE = "Split what takes long from what locks: a lock is held until its transaction ends."
_MORE = "Or let others wait longer, and the reviewer see it: `-- pgrollout:stall_budget 30s` in the file's first lines."


def recipe(content: Content, index: int) -> str:
    """Return what to write instead of the statement at an index of a file, in sentences; past the last one is the COMMIT."""
    if index == len(content.statements):
        return f"{_AT_COMMIT} {_MORE}"
    found = lint([content]).findings
    remedies = [
        each.remedy for each in found if each.statement == index + 1 and each.code.startswith(LOCKS) and each.remedy
    ]
    words = content.statements[index].keywords[:1]
    return f"{remedies[0] if remedies else _BY_WORDS.get(words, _OTHERWISE)} {_MORE}"
