"""Errors: a sentence, facts that survive pickling, an exit code, and a place in the tree."""

import inspect
import pickle
import re
from typing import Any

import pytest

from pgrollout import errors
from pgrollout.errors import (
    ExitCode,
    OrphanNotOurs,
    PgrolloutError,
    StatementFailed,
    UnreadableFile,
    UnresolvedIntent,
)
from pgrollout.place import Place

PLACE = Place("2_b.sql", 3, 5, "    SELEC 'é';")
VALUES: dict[Any, Any] = {
    str: "it's “x”",
    int: 3,
    bool: True,
    Place: PLACE,
    Place | None: PLACE,
    tuple[str, ...]: ("1_a.sql", "2_b.sql"),
}
CLASSES = [
    found
    for found in vars(errors).values()
    if inspect.isclass(found) and issubclass(found, PgrolloutError) and found.__module__ == errors.__name__
]
WITH_FACTS = [found for found in CLASSES if found.__init__ is not PgrolloutError.__init__]


def example(kind: type[PgrolloutError]) -> PgrolloutError:
    """An error of that class, with a value of the right type for each of its facts."""
    return kind(*(VALUES[parameter.annotation] for parameter in inspect.signature(kind).parameters.values()))


@pytest.mark.parametrize("kind", WITH_FACTS)
def test_an_error_survives_pickling(kind: type[PgrolloutError]) -> None:
    """Prefect pickles a failed run's exception: class, facts, sentence and exit code come back."""
    error = example(kind)

    again = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.args == error.args
    assert again.code == error.code


@pytest.mark.parametrize("kind", WITH_FACTS)
def test_an_error_keeps_its_facts(kind: type[PgrolloutError]) -> None:
    """Every fact that an error is made of is an attribute."""
    error = example(kind)

    for value in error.args:
        assert value in vars(error).values() or value == error.code


@pytest.mark.parametrize("kind", WITH_FACTS)
def test_an_error_is_a_sentence(kind: type[PgrolloutError]) -> None:
    """It does not begin or end in the middle of something, and no fact is shown as Python would."""
    text = str(example(kind))

    assert text == text.strip()
    assert text[0].isalnum()
    assert text[-1] in ".”" or kind in (OrphanNotOurs, UnresolvedIntent)  # which end with a command to copy
    assert not re.search(r"Place\(|<class|\bNone\b|\('", text)


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_says_what_it_is_for(kind: type[PgrolloutError]) -> None:
    """Each class has a docstring of its own."""
    assert vars(kind).get("__doc__")


def tree() -> dict[str, tuple[str, ExitCode | None]]:
    """What the module's docstring says: class, the class it stands under, and its exit code if it names one."""
    found: dict[str, tuple[str, ExitCode | None]] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").partition("::")[2].splitlines():
        match = re.match(r"    ([│├└─ ]*)(\w+(?:, \w+)*)(?:\s{2,}(.*))?$", line)
        if match is None or not match[2][0].isupper():
            continue
        depth = len(match[1])
        above = [entry for entry in above if entry[0] < depth]
        parent = above[-1][1] if above else "Exception"
        code = re.match(r"\d+", match[3] or "")
        for name in match[2].split(", "):
            assert name not in found, f"{name} stands in the tree twice"
            found[name] = (parent, ExitCode(int(code[0])) if code else None)
        above.append((depth, match[2].split(", ")[0]))
    return found


def test_the_tree_has_every_class_in_its_place() -> None:
    """The tree drawn in the docstring is the real one."""
    assert {name: parent for name, (parent, _) in tree().items()} == {
        found.__name__: found.__mro__[1].__name__ for found in CLASSES
    }


def test_exit_codes_are_those_of_the_tree() -> None:
    """Where the tree has a number it is the class's, elsewhere that of the class above."""
    drawn = tree()
    for found in CLASSES:
        name = found.__name__
        while drawn[name][1] is None:
            name = drawn[name][0]
        assert found.exit_code is drawn[name][1], found


def test_exit_codes_are_a_contract() -> None:
    """The numbers that jobs, retries and CI read."""
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "REFUSED": 3,
        "MISMATCH": 4,
        "WAIT": 75,
    }


@pytest.mark.parametrize(("rule", "code"), [("SP101", 1), ("SP103", 3), ("SP104", 3), ("SP105", 2), ("", 2)])
def test_an_unreadable_file_ends_by_its_rule(rule: str, code: int) -> None:
    """No SQL is a failure, what a rule forbids is refused, the rest is usage."""
    assert UnreadableFile(PLACE, "no", "do", rule).code == code


def test_a_failed_statement_ends_by_its_sqlstate() -> None:
    """The exit code that the SQLSTATE gave is the error's, and an unknown one is a bug that shows."""
    error = StatementFailed(PLACE, "2", "40P01", "deadlock detected", "SELEC", "Run it again.", 75)

    assert error.code is ExitCode.WAIT
    assert str(error) == (
        "2_b.sql:3:5: deadlock detected (SQLSTATE 40P01)\n        SELEC 'é';\n        ^\nRun it again."
    )
    with pytest.raises(ValueError, match="9"):
        _ = StatementFailed(None, "2", "40P01", "m", "s", "a", 9).code


def test_a_statement_without_a_place_names_its_version() -> None:
    """Where the file is not known, version and statement are."""
    error = StatementFailed(None, "2", "42601", "syntax error", "SELEC", "Correct it.", 1)

    assert str(error) == "version 2: syntax error (SQLSTATE 42601)\n    SELEC\nCorrect it."
