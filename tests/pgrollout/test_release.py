"""Releases: the same files are the same release, whoever builds it, and any other byte is another one."""

import io
import json
import tarfile

from hypothesis import assume, given
from hypothesis import strategies as st

from pgrollout import __version__
from pgrollout.migration import Migration, directory_order
from pgrollout.release import FORMAT_VERSION, Release, archive, release_of
from pgrollout.sum_file import parse, sum_of
from tests.pgrollout.history_rows import files

TWO = files("1_a.sql", "2_é.sql")
names = st.text("12_aé", min_size=1, max_size=4).map(lambda name: f"{name}.sql")
directories = st.dictionaries(names, st.binary(max_size=8), max_size=5).map(
    lambda found: [Migration(name, found[name]) for name in sorted(found, key=directory_order)]
)


def release(migrations: list[Migration]) -> Release:
    """The release of these files."""
    return release_of(migrations, sum_of(migrations))


def test_the_digest_is_a_contract() -> None:
    """Digests are in tickets and approvals: the same files keep theirs from version to version."""
    assert release(TWO).digest == "sha256:5823259e1145bcf38422306ac25416bc3d3ea45c7b82821188a08e22d80da1e1"
    assert release([]).digest == "sha256:4e47204c9214adcee6c48990465f3787c1267e7f4447fa9e3a73a94994644516"


def test_the_manifest_is_a_contract() -> None:
    """Other programs read ``release.json``: to the letter what it was, but for the version of the tool."""
    text = release(files("1_a.sql")).text()

    assert text.replace(f'"{__version__}"', '"0"') == (
        "{\n"
        '  "digest": "sha256:3f7f32636bdc7ede8ea31e581b55133b97b9b0f4a6ca349c69e5b8860b5df28b",\n'
        '  "format_version": 1,\n'
        '  "tool_version": "0",\n'
        '  "sum_digest": "6fCbLEkmPWfpGd51jt+hcvyCOJlmnGk9FLktP9jP92g=",\n'
        '  "files": [\n'
        "    {\n"
        '      "name": "1_a.sql",\n'
        '      "size_bytes": 18,\n'
        '      "sha256": "acda999b023599cea2e481f4d3947a761a65ed08d385af4fe0f4600c5e13475f"\n'
        "    }\n"
        "  ]\n"
        "}\n"
    )


def test_the_manifest_says_what_is_in_it() -> None:
    """Format, tool, the sum file's digest, and each file with size and SHA-256; the digest first."""
    made = release(TWO)

    manifest = json.loads(made.text())

    assert list(manifest) == ["digest", "format_version", "tool_version", "sum_digest", "files"]
    assert (manifest["digest"], manifest["format_version"]) == (made.digest, FORMAT_VERSION)
    assert manifest["tool_version"] == __version__
    assert manifest["sum_digest"] == sum_of(TWO).directory_hash
    assert [(file["name"], file["size_bytes"]) for file in manifest["files"]] == [("1_a.sql", 18), ("2_é.sql", 19)]
    assert made.text().endswith("}\n")


def test_the_archive_holds_the_files() -> None:
    """Manifest, sum file and migrations, byte for byte."""
    with tarfile.open(fileobj=io.BytesIO(archive(TWO, sum_of(TWO)))) as tar:
        members = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        content = {name: file.read() for name, file in members.items() if file}

    assert list(content) == ["release.json", "migrations/atlas.sum", "migrations/1_a.sql", "migrations/2_é.sql"]
    assert content["release.json"].decode() == release(TWO).text()
    assert parse(content["migrations/atlas.sum"].decode()) == sum_of(TWO)
    assert [content[f"migrations/{m.name}"] for m in TWO] == [m.content for m in TWO]


@given(directories)
def test_an_archive_is_the_same_whoever_builds_it(migrations: list[Migration]) -> None:
    """No time, owner or mode of the machine is in it."""
    computed = sum_of(migrations)

    assert archive(migrations, computed) == archive(list(migrations), computed)
    with tarfile.open(fileobj=io.BytesIO(archive(migrations, computed))) as tar:
        kept = {(m.mtime, m.mode, m.uid, m.gid, m.uname, m.gname) for m in tar.getmembers()}
    assert kept == {(0, 0o644, 0, 0, "", "")}


@given(directories, st.data())
def test_any_other_byte_is_another_release(migrations: list[Migration], data: st.DataObject) -> None:
    """Any byte of any file, any name, a file more or less."""
    assume(migrations)
    index = data.draw(st.integers(0, len(migrations) - 1))
    changed = data.draw(
        st.one_of(
            st.binary(max_size=8).map(lambda content: [Migration(migrations[index].name, content)]),
            names.map(lambda name: [Migration(name, migrations[index].content)]),
            st.just([]),
        )
    )
    other = [*migrations[:index], *changed, *migrations[index + 1 :]]
    assume(other != migrations)

    assert release(other).digest != release(migrations).digest


@given(directories)
def test_order_is_part_of_a_release(migrations: list[Migration]) -> None:
    """Files are applied in order, so another order is another release."""
    assume(len(migrations) > 1)

    assert release(migrations[::-1]).digest != release(migrations).digest


def test_the_sum_file_is_part_of_a_release() -> None:
    """A directory with another sum file was not reviewed as this one."""
    assert release_of(TWO, sum_of(TWO[:1])).digest != release(TWO).digest
