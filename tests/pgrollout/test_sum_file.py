"""The sum file: the same bytes, the same verdict and the same first difference as Atlas."""

import pickle
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgrollout.errors import ChecksumMismatch, SumFileInvalid, SumFileMissing
from pgrollout.migration import Migration, directory_order
from pgrollout.sum_file import Difference, Entry, SumFile, check, first_difference, is_sum_ignored, parse, sum_of
from tests.atlas_oracle import Oracle

T1 = Migration("1_t1.sql", b"CREATE TABLE t1 (id int);\n")
IGNORED = Migration("2_ig.sql", b"-- atlas:sum ignore\nSELECT 1;\n")
T3 = Migration("3_t3.sql", b"CREATE TABLE t3 (id int);\n")

TEXT = """\
h1:5Drtl+wzEIlpq73Hf6GZFx69h+BPKzn1w7R7NhYT3DI=
1_t1.sql h1:u5JhA4K3EbTkhPYUx0AjpifIjnJ/Ol5n9yv36yc5UCs=
3_t3.sql h1:4XVapCGIuYw3CpHOGGqxIzkI6VAiVDv5zsupDY9PE9Y=
"""

contents = st.one_of(
    st.text("ab;\n\r -é", max_size=20),
    st.sampled_from(
        ["-- atlas:sum ignore\nSELECT 1;", "atlas:sum ignore", "atlas:sum ignore ", "\natlas:sum ignore", ""]
    ),
)
directories = st.dictionaries(st.text("12_.aé", max_size=4).map(lambda name: f"{name}.sql"), contents, max_size=6)


def migrations(files: dict[str, str]) -> list[Migration]:
    """The files in directory order."""
    return [Migration(name, files[name].encode()) for name in sorted(files, key=directory_order)]


def test_text_is_atlas() -> None:
    """The text is what Atlas wrote for the same files."""
    assert sum_of([T1, T3]).text() == TEXT


def test_empty_directory() -> None:
    """No files, one line."""
    assert sum_of([]).text() == "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"


def test_ignored_file_counts_by_name_only() -> None:
    """A file that is sum-ignored has no entry, and moves those after it."""
    computed = sum_of([T1, IGNORED, T3])

    assert computed.directory_hash == "zpN+Z1rrhPXPixb7CHiWzV5UzN+AJ2mVCKKJP5DVM14="
    assert computed.hash_of("1_t1.sql") == "u5JhA4K3EbTkhPYUx0AjpifIjnJ/Ol5n9yv36yc5UCs="
    assert computed.hash_of("2_ig.sql") is None
    assert computed.hash_of("3_t3.sql") == "ZJB8iR+Mi0LUZ0Yl4B2EVnLIX/387LZujTRb3PmdCUY="


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"-- atlas:sum ignore", True),
        (b"atlas:sum ignore\nSELECT 1;", True),
        (b"SELECT 1; -- atlas:sum   ignore", True),
        (b"-- atlas:sum ignore ", False),
        (b"-- atlas:sum ignore\r\n", False),
        (b"-- atlas:sum ignore this", False),
        (b"\n-- atlas:sum ignore", False),
        (b"/* atlas:sum ignore */", False),
        (b"-- atlas:sum\tignore", False),
        (b"-- atlas:summary ignore", False),
        (b"\xff atlas:sum ignore", False),
    ],
)
def test_sum_ignore_is_exact(content: bytes, expected: bool) -> None:
    """Only the first line counts, and only to the letter."""
    assert is_sum_ignored(content) is expected


@pytest.mark.parametrize(
    "text", [TEXT, TEXT.removesuffix("\n"), TEXT.replace("\n", "\r\n"), TEXT.replace(".sql h1:", ".sql  \t h1:")]
)
def test_reading_tolerates_white_space(text: str) -> None:
    """CRLF, more spaces and a missing last line break are accepted, as in Atlas."""
    assert parse(text) == sum_of([T1, T3])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"line 1: it is not the checksum of the lines below it \(checksum mismatch\)"),
        (TEXT + "\n", r"line 4: it has no checksum \(checksum file format invalid\)"),
        (TEXT.replace("3_t3.sql h1:", "3_t3.sql "), r"line 3: it has no checksum"),
        (TEXT.replace("u5Jh", "v5Jh"), r"line 1: it is not the checksum of the lines"),
        (TEXT.replace("h1:5Dr", "h1:6Dr"), r"line 1: it is not the checksum of the lines"),
    ],
)
def test_broken_sum_file(text: str, sentence: str) -> None:
    """A sum file that is none names its line and the way out."""
    with pytest.raises(SumFileInvalid, match=f"atlas.sum, {sentence}.*pgrollout hash"):
        parse(text)


def test_edited_file_is_named() -> None:
    """An edited file is named with its line in the sum file and the way out."""
    recorded = sum_of([T1, T3])
    edited = [T1, replace(T3, content=b"CREATE TABLE t3 (id bigint);\n")]

    with pytest.raises(ChecksumMismatch, match=r"3_t3.sql was edited since .* line 3\)"):
        check(edited, recorded)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ([T1, T3], [T1, T3], None),
        ([T1, T3], [T3], Difference("1_t1.sql", "removed", 2)),
        ([T1, T3], [T1], Difference("3_t3.sql", "removed", 3)),
        ([T1], [T1, T3], Difference("3_t3.sql", "added", 3)),
        ([T3], [T1, T3], Difference("1_t1.sql", "added", 2)),
        ([T1, T3], [replace(T1, content=b""), T3], Difference("1_t1.sql", "edited", 2)),
        ([T1, IGNORED, T3], [T1, replace(IGNORED, name="2_other.sql"), T3], Difference("3_t3.sql", "edited", 3)),
        ([], [T1], Difference("1_t1.sql", "added", 2)),
        ([T1], [], Difference("1_t1.sql", "removed", 2)),
    ],
)
def test_first_difference(before: list[Migration], after: list[Migration], expected: Difference | None) -> None:
    """The first difference is named as Atlas names it."""
    assert first_difference(sum_of(before), sum_of(after)) == expected


def test_missing_sum_file() -> None:
    """Migrations without a sum file were reviewed by nobody; no migrations need none."""
    with pytest.raises(SumFileMissing, match=r"has migrations but no atlas\.sum"):
        check([T1], None)
    assert check([], None) == sum_of([])


def test_file_listed_twice() -> None:
    """A sum file that lists a file twice is refused, not a crash."""
    entries = (Entry("1_t1.sql", "a"), Entry("1_t1.sql", "a"))

    assert first_difference(SumFile("x", entries), SumFile("y", entries[:1])) == Difference("1_t1.sql", "removed", 3)


def test_sum_file_survives_pickling() -> None:
    """A sum file can cross a process."""
    assert pickle.loads(pickle.dumps(sum_of([T1]))).hash_of("1_t1.sql") == sum_of([T1]).hash_of("1_t1.sql")  # noqa: S301


@settings(max_examples=300)
@given(directories)
def test_oracle_computes_the_same(oracle: Oracle, files: dict[str, str]) -> None:
    """The text of the sum file is Atlas's, whatever the files are, and reading gives it back."""
    computed = sum_of(migrations(files))

    assert computed.text() == oracle.ask("sum", files=list(files.items()))["sum"]
    assert parse(computed.text()) == computed


@settings(max_examples=300)
@given(directories, directories)
def test_oracle_finds_the_same_difference(oracle: Oracle, before: dict[str, str], changes: dict[str, str]) -> None:
    """A directory is valid, or differs first, where Atlas says so."""
    recorded = sum_of(migrations(before))
    after = {**before, **changes}
    for name in list(after)[: len(changes) // 2]:
        del after[name]
    answer = oracle.ask("sum", files=[*after.items(), ("atlas.sum", recorded.text())])
    if answer["error"].startswith("panic"):
        return

    found = first_difference(recorded, sum_of(migrations(after)))

    assert (found is None) == (answer["error"] == "")
    if found:
        assert re.fullmatch("checksum mismatch", answer["error"])
        assert (found.file, found.reason, found.line) == (answer["file"], answer["reason"], answer["line"])


def test_ten_thousand_files() -> None:
    """The last of 10,000 files has its checksum, and is found by name."""
    many = [Migration(f"{number:05}_t.sql", b"SELECT 1;") for number in range(10_000)]

    computed = sum_of(many)

    assert parse(computed.text()).hash_of("09999_t.sql") == computed.entries[-1].hash
