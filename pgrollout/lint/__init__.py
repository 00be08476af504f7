"""
Lint: the rules, and what they say about a migration directory.

``lint(contents)`` follows the whole directory, so that the rules know what earlier files made, and reports on the
files asked for. One module per rule and one line here; ``facts`` and ``schema`` know what a rule may ask, ``waivers``
what a file accepts, ``walk`` how it all comes together. What the parser cannot hand over is reported as not analysed,
never passed over.
"""

from collections.abc import Collection, Sequence

from pgrollout.content import Content
from pgrollout.errors import PgrolloutError, SplitDiffers, TransactionControl, UnreadableFile
from pgrollout.lint import (
    add_check_not_valid,
    add_column_not_null,
    add_foreign_key_not_valid,
    atlas_split,
    change_column_type,
    concurrently_in_transaction,
    concurrently_on_partitioned,
    copy_data,
    create_index_concurrently,
    drop_column,
    drop_index_concurrently,
    drop_table,
    empty_file,
    new_enum_value,
    not_in_transaction,
    psql_command,
    set_not_null,
    split_disagrees,
    syntax_error,
    transaction_control,
    unreadable_bytes,
    unused_waiver,
)
from pgrollout.lint.report import LintReport, NotAnalysed, Waived
from pgrollout.lint.rule import Finding, Hit, Rule, Severity
from pgrollout.lint.walk import walk
from pgrollout.place import place_at

__all__ = [
    "RULES", "Finding", "LintReport", "NotAnalysed", "Rule", "Severity", "Waived", "finding_of", "finding_of_cut", "lint",
]  # fmt: skip

RULES: tuple[Rule, ...] = (
    drop_table.RULE,
    drop_column.RULE,
    add_column_not_null.RULE,
    create_index_concurrently.RULE,
    drop_index_concurrently.RULE,
    concurrently_in_transaction.RULE,
    concurrently_on_partitioned.RULE,
    change_column_type.RULE,
    set_not_null.RULE,
    add_check_not_valid.RULE,
    add_foreign_key_not_valid.RULE,
    unused_waiver.RULE,
    syntax_error.RULE,
    split_disagrees.RULE,
    psql_command.RULE,
    copy_data.RULE,
    unreadable_bytes.RULE,
    empty_file.RULE,
    atlas_split.RULE,
    transaction_control.RULE,
    not_in_transaction.RULE,
    new_enum_value.RULE,
)
"""All rules, in the order of the catalogue."""

BY_CODE = {rule.code: rule for rule in RULES}


def lint(contents: Sequence[Content], *, new: Collection[str] | None = None) -> LintReport:
    """
    Look at a migration directory.

    Args:
        contents: All its files, in order: what earlier ones made decides what a later one does.
        new: Names of the files that are reported on; None for all. The others are history.

    Where there is no parser, only the rules about whole files run, and each file is reported as not analysed.
    """
    return walk(contents, new, RULES)


def finding_of(error: PgrolloutError) -> Finding | None:
    """Return the finding that an error of ``read_content`` is; None if no rule is about it."""
    match error:
        case TransactionControl(place=place, statement=statement):
            return transaction_control.RULE.finding(Hit(statement), place, 0)
        case SplitDiffers(place=place, problem=problem):
            return atlas_split.RULE.finding(Hit("", problem), place, 0)
        case UnreadableFile(place=place, problem=problem, advice=advice, rule=code) if code in BY_CODE:
            return BY_CODE[code].finding(Hit("", problem, advice), place, 0)
    return None


def finding_of_cut(content: Content, index: int) -> Finding:
    """Return the finding that a shadow's server asked for a cut after the statement at an index."""
    place = place_at(content.migration.name, content.text, content.statements[index].start)
    return new_enum_value.RULE.finding(Hit(""), place, index + 1)
