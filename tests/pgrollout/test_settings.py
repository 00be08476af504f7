"""Settings: where a value comes from, what is refused, and what is never shown."""

import json
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgrollout.errors import ConfigurationError
from pgrollout.settings import (
    CONFIG_NAME,
    Database,
    Shadow,
    config_path,
    database_names,
    flag_keys,
    load,
    masked,
    shadow_url,
    target,
)

TWO = '[database.reader]\nurl_env = "READER_URL"\n[database.writer]\nbackup = "none"\n'
VALUES: dict[str, tuple[Any, Any, Any]] = {
    "migrations": ("a", "b", "c"),
    "url": (None, "postgresql://b", "postgresql://c"),
    "url_env": ("A", "B", "C"),
    "url_file": ("a", "b", "c"),
    "service": ("a", "b", "c"),
    "role": ("a", "b", "c"),
    "schemas": (["a"], ["b", "b2"], ["c"]),
    "exclude": (["a.*"], ["b.*", "x.*"], ["c.*"]),
    "revisions_schema": ("a", "b", "c"),
    "ledger_schema": ("a", "b", "c"),
    "exec_order": ("linear-skip", "non-linear", "linear"),
    "wait_for_run_ms": (1, 0, 3),
    "run_deadline_ms": (1, 0, 3),
    "lease_timeout_ms": (1, 2, 3),
    "stall_budget_ms": (1, 2, 3),
    "stall_guard": ("server", "watchdog", "server"),
    "table_lock_deadline_ms": (1, 0, 3),
    "small_table_bytes": (1, 0, 3),
    "online_builds": ("leave", "wait", "leave"),
    "connect_timeout_ms": (1, 2, 3),
    "pooler": ("session", "none", "auto"),
    "backup": ("schema", "none", "dump"),
    "backup_dir": ("a", "b", "c"),
    "backup_jobs": (1, 2, 3),
    "alert_url_env": ("A", "B", "C"),
    "drift_gate": ("warn", "refuse", "warn"),
    "shadow_server": ("none", "url", "embedded"),
    "shadow_url_env": ("A", "B", "C"),
    "shadow_url": (None, "postgresql://b", "postgresql://c"),
    "shadow_roles": (["a"], ["b", "b2"], ["c"]),
    "shadow_setup_sql": ("a.sql", "b.sql", "c.sql"),
}
"""For every key: a value for the file, one for the environment, one for the command line."""


def write(folder: Path, text: str) -> Path:
    """Write the configuration file."""
    path = folder / CONFIG_NAME
    path.write_text(text)
    return path


def value(database: Database, key: str) -> Any:
    """The value of a key, as plain Python."""
    part, name = (database.shadow, key.removeprefix("shadow_")) if key.startswith("shadow_") else (database, key)
    found = getattr(part, name)
    if isinstance(found, tuple):
        return list(found)
    return found.get_secret_value() if hasattr(found, "get_secret_value") else found


def toml(key: str, content: Any) -> str:
    """A configuration file with one key."""
    table = "[database.reader.shadow]" if key.startswith("shadow_") else "[database.reader]"
    line = "" if content is None else f"{key.removeprefix('shadow_')} = {json.dumps(content)}"
    return f"[database.reader]\n{table if 'shadow' in table else ''}\n{line}\n"


def test_every_key_is_covered() -> None:
    """A new key needs a row in the table above."""
    keys = set(Database.model_fields) - {"name", "root", "shadow", "drift_ignore"} | {
        f"shadow_{key}" for key in Shadow.model_fields
    }

    assert set(VALUES) == keys


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(st.sampled_from(sorted(VALUES)), st.booleans(), st.booleans(), st.booleans())
def test_flag_over_environment_over_file_over_default(
    tmp_path: Path, key: str, in_file: bool, in_environment: bool, in_flag: bool
) -> None:
    """For every key, in every combination of the places where it can stand."""
    file, environment, flag = VALUES[key]
    write(tmp_path, toml(key, file if in_file else None))
    text = ", ".join(environment) if isinstance(environment, list) else str(environment)
    environ = {f"PGROLLOUT_{key.upper()}": text} if in_environment else {}
    flags = {key: tuple(flag) if isinstance(flag, list) else flag} if in_flag else {key: None}

    found = value(load(None, flags, environ, tmp_path), key)

    file_or_default = file if in_file and file is not None else value(Database(), key)
    assert found == (flag if in_flag else environment if in_environment else file_or_default)


def test_name_and_root_are_no_settings_of_a_run(tmp_path: Path) -> None:
    """The name is chosen by ``--database``, the root by where the file is; no flag and no variable sets them."""
    write(tmp_path, "[database.reader]\n")
    said = {"name": "x", "root": "/", "shadow": "none"}

    assert not {*said, "shadow_url"}.intersection(flag_keys())
    assert set(flag_keys()) == set(VALUES) - {"shadow_url"}
    found = load(None, said, {f"PGROLLOUT_{key.upper()}": value for key, value in said.items()}, tmp_path)
    assert (found.name, found.root, found.shadow) == ("reader", tmp_path.resolve(), Shadow())


def test_defaults_without_a_file(tmp_path: Path) -> None:
    """Without a file there is one database, whatever its name, and the project is where one stands."""
    database = load(None, None, {}, tmp_path)

    assert (database.name, database.root, database.shadow.server) == ("default", tmp_path, "embedded")
    assert database.migrations_path == tmp_path / "migrations"
    assert database.state_path == tmp_path / ".pgrollout"
    assert load("reader", None, {}, tmp_path).name == "reader"
    assert load(None, None, {"PGROLLOUT_DATABASE": "reader"}, tmp_path).name == "reader"


def test_the_file_is_found_upwards(tmp_path: Path) -> None:
    """From any folder of the project; relative paths start where the file is."""
    path = write(tmp_path, '[database.reader]\nmigrations = "db/migrations"\n')
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)

    assert config_path({}, deep) == path
    assert load(None, None, {}, deep).migrations_path == tmp_path.resolve() / "db" / "migrations"


def test_the_file_can_be_named(tmp_path: Path) -> None:
    """``PGROLLOUT_CONFIG`` wins; one that is not there is an error, not another file."""
    path = write(tmp_path, TWO)

    assert config_path({"PGROLLOUT_CONFIG": str(path)}, Path("/")) == path
    assert database_names({"PGROLLOUT_CONFIG": str(path)}, Path("/")) == ("reader", "writer")
    for wrong in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match=r"^PGROLLOUT_CONFIG: there is no file"):
            config_path({"PGROLLOUT_CONFIG": str(wrong)}, tmp_path)


def test_one_of_several_databases_must_be_named(tmp_path: Path) -> None:
    """By flag or environment; a name that is not there is answered with those that are."""
    write(tmp_path, TWO)

    assert load("writer", None, {}, tmp_path).backup == "none"
    assert load(None, None, {"PGROLLOUT_DATABASE": "writer"}, tmp_path).name == "writer"
    assert load("reader", None, {"PGROLLOUT_DATABASE": "writer"}, tmp_path).name == "reader"
    with pytest.raises(ConfigurationError, match=r"has several databases: reader, writer. Say which"):
        load(None, None, {}, tmp_path)
    with pytest.raises(ConfigurationError, match=r"there is no \[database.prod\]\. There are: reader, writer\."):
        load("prod", None, {}, tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", r"has no \[database.NAME\] table"),
        ("database = 1", r"has no \[database.NAME\] table"),
        ('[database]\nurl_env = "X"', r"has no \[database.NAME\] table"),
        ("[[database]]\n", r"has no \[database.NAME\] table"),
        ("[database.a]\n[databases.b]", r"unknown key 'databases'"),
        ("[database.a\n", r"cannot be read: "),
        ("[database.a]\nurl = 'postgresql://h'", r"\[database.a\]: url does not belong in the file.*url_env"),
        ("[database.a]\nroot = '/'", r"root does not belong in the file. Paths start"),
        ("[database.a]\nname = 'b'", r"name does not belong in the file. A database is named"),
        ("[database.a.shadow]\nurl = 'postgresql://h'", r"\[database.a.shadow\]: url does not belong"),
        ("[database.a]\nshadow = 'none'", r"\[database.a\]: shadow is no table"),
        ("[database.a]\nshadow = 1", r"\[database.a\]: shadow is no table"),
        (
            "[database.a]\nexec_oder = 'linear'",
            r"\[database.a\]: unknown key 'exec_oder'. Did you mean 'exec_order'\? Known: alert_url_env, backup",
        ),
        ("[database.a]\nfrob = 1", r"\[database.a\]: unknown key 'frob'. Known: alert_url_env, backup"),
        (
            "[database.a.shadwo]\nroles = ['x']",
            r"unknown key 'shadwo'. Did you mean 'shadow'\? Known: .*, shadow, .*, url_env",
        ),
        (
            "[database.a.shadow]\nrole = 'x'",
            r"\[database.a.shadow\]: unknown key 'role'. Did you mean 'roles'\? Known: roles, ",
        ),
        ("[database.a]\nexec_order = 'LINEAR'", r"\[database.a\]: exec_order: Input should be 'linear'"),
        ("[database.a]\nbackup_jobs = 0", r"backup_jobs: Input should be greater than 0"),
        ("[database.a]\nbackup_jobs = true", r"backup_jobs: it cannot be true or false"),
        ("[database.a]\nwait_for_run_ms = '1 s'", r"wait_for_run_ms: Input should be a valid integer"),
        ("[database.a]\nwait_for_run_ms = -1", r"wait_for_run_ms: Input should be greater than or equal to 0"),
        ("[database.a]\nschemas = 'public'", r"schemas: Input should be a valid tuple"),
        ("[database.a]\nmigrations = 5", r"migrations: Input should be a valid string"),
        ("[database.a.shadow]\nserver = 'here'", r"\[database.a.shadow\]: server: Input should be 'embedded'"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """Unknown keys, wrong types and secrets: the place, what is wrong there, and mostly what to write instead."""
    path = write(tmp_path, text)

    with pytest.raises(ConfigurationError, match=problem) as refused:
        load("a", None, {}, tmp_path)
    assert str(refused.value).startswith(str(path))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    """Neither the file nor the file with the URL need be UTF-8."""
    (tmp_path / CONFIG_NAME).write_bytes(b"[database.a]\nrole = '\xff'")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load("a", None, {}, tmp_path)

    (tmp_path / "url").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="it is not UTF-8"):
        target(Database(root=tmp_path, url_file="url"), {})


def test_a_wrong_variable_is_named(tmp_path: Path) -> None:
    """An error names where the value came from: the variable or the option, not the file."""
    write(tmp_path, "[database.a]\n")

    with pytest.raises(ConfigurationError, match=r"^PGROLLOUT_BACKUP_JOBS: backup_jobs: "):
        load(None, None, {"PGROLLOUT_BACKUP_JOBS": "many"}, tmp_path)
    with pytest.raises(ConfigurationError, match=r"^PGROLLOUT_SHADOW_SERVER: server: "):
        load(None, None, {"PGROLLOUT_SHADOW_SERVER": "here"}, tmp_path)
    with pytest.raises(ConfigurationError, match=r"^--backup-jobs: backup_jobs: "):
        load(None, {"backup_jobs": 0}, {"PGROLLOUT_BACKUP_JOBS": "1"}, tmp_path)


def test_lists_in_variables_are_separated_by_commas(tmp_path: Path) -> None:
    """Spaces and empty items do not count; an empty variable is an empty list."""
    environ = {"PGROLLOUT_SCHEMAS": " app, audit ,,", "PGROLLOUT_SHADOW_ROLES": ""}

    database = load(None, None, environ, tmp_path)

    assert database.schemas == ("app", "audit")
    assert database.shadow.roles == ()


def test_naming_a_shadow_url_chooses_it(tmp_path: Path) -> None:
    """Whoever says where the shadow's server is, need not say that it is one; saying otherwise counts."""
    assert load(None, None, {"PGROLLOUT_SHADOW_URL": "postgresql://h"}, tmp_path).shadow.server == "url"
    assert load(None, {"shadow_url_env": "X"}, {}, tmp_path).shadow.server == "url"
    environ = {"PGROLLOUT_SHADOW_URL": "postgresql://h", "PGROLLOUT_SHADOW_SERVER": "none"}
    assert load(None, None, environ, tmp_path).shadow.server == "none"


@pytest.mark.parametrize(
    ("given_as", "expected"),
    [
        ("db", "/project/db"),
        ("./db", "/project/db"),
        ("/db", "/db"),
        ("file://db", "/project/db"),
        ("file:///db", "/db"),
        ("file://db?format=atlas", "/project/db"),
    ],
)
def test_the_migration_directory_is_a_path_or_atlas_s_url(given_as: str, expected: str) -> None:
    """Relative ones start at the project's root."""
    assert Database(root=Path("/project"), migrations=given_as).migrations_path == Path(expected)


def test_a_directory_of_another_tool_is_refused() -> None:
    """Read as Atlas's own format, its files would be run up and down."""
    with pytest.raises(ConfigurationError, match=r"format=goose: only Atlas's own format can be read"):
        _ = Database(migrations="file://db?format=goose").migrations_path


# Where the database is.

EVERYTHING = {"A": "postgresql://a", "DATABASE_URL": "postgresql://d", "PGHOST": "h"}


@pytest.mark.parametrize(
    ("settings_of", "environ", "kind", "where", "source"),
    [
        ({"url": "postgresql://f", "url_env": "A"}, EVERYTHING, "url", "postgresql://f", "--url or PGROLLOUT_URL"),
        ({"url_env": "A", "url_file": "url", "service": "s"}, EVERYTHING, "url", "postgresql://a", "A"),
        ({"url_file": "url", "service": "s"}, EVERYTHING, "url", "postgresql://file", "url"),
        ({"service": "s"}, EVERYTHING, "service", "s", "service s"),
        ({}, EVERYTHING, "url", "postgresql://d", "DATABASE_URL"),
        ({}, {"DATABASE_URL": "", "PGDATABASE": "d"}, "libpq", "", "PG* variables"),
        ({}, {"PGPASSWORD": "x", "PGUSER": "u", "PGHOST": ""}, "embedded", "", "the embedded server"),
        ({}, {"DATABASE_URL": " \n"}, "embedded", "", "the embedded server"),
        ({}, {"DATABASE_URL": "postgresql://d\n"}, "url", "postgresql://d", "DATABASE_URL"),
        ({"url_env": "A"}, {"A": "postgresql://a\n"}, "url", "postgresql://a", "A"),
    ],
)
def test_the_first_source_that_says_something_counts(
    tmp_path: Path, settings_of: dict[str, Any], environ: Mapping[str, str], kind: str, where: str, source: str
) -> None:
    """Option, named variable, file, service, DATABASE_URL, libpq's variables, the embedded server; white space is cut."""
    (tmp_path / "url").write_text("postgresql://file\r\n")

    found = target(Database(root=tmp_path, **settings_of), environ)

    assert (found.kind, found.value.get_secret_value()) == (kind, where)
    assert found.source.endswith(source)


@pytest.mark.parametrize(
    ("settings_of", "environ", "problem"),
    [
        ({"url": ""}, EVERYTHING, r"^--url or PGROLLOUT_URL: it is empty"),
        ({"url_env": "B"}, EVERYTHING, r"^\[database.default\] url_env: the environment has no B\. Set it"),
        ({"url_env": "B"}, {"B": " "}, r"the environment has no B"),
        ({"url_file": "none"}, EVERYTHING, r"^url_file .*none: cannot be read: No such file"),
        ({"url_file": "empty"}, EVERYTHING, r"^url_file .*empty: it is empty"),
        ({}, {"PGROLLOUT_NO_EMBEDDED": "1", "PGPASSWORD": "x"}, r"nothing says where it is.* from a Secret"),
    ],
)
def test_an_empty_source_is_no_other_database(
    tmp_path: Path, settings_of: dict[str, Any], environ: Mapping[str, str], problem: str
) -> None:
    """A secret that was not filled in must not lead to the database that libpq finds by itself."""
    (tmp_path / "empty").write_text("\n")

    with pytest.raises(ConfigurationError, match=problem):
        target(Database(root=tmp_path, **settings_of), environ)


def test_the_shadow_s_url_comes_from_the_environment() -> None:
    """From its own variable, or the one that the file names; without either there is an error."""
    named = Database(shadow=Shadow(server="url", url_env="A"))

    assert shadow_url(named, {"A": "postgresql://a"}).get_secret_value() == "postgresql://a"
    with pytest.raises(ConfigurationError, match=r"shadow\] url_env: the environment has no A"):
        shadow_url(named, {})
    with pytest.raises(ConfigurationError, match='server = "url" needs url_env'):
        shadow_url(Database(shadow=Shadow(server="url")), {})


# Secrets.


def test_a_url_is_in_no_text() -> None:
    """Neither printing settings nor sending them to another process gives the URL away."""
    url = "postgresql://u:S3cret@h/d"
    database = Database.model_validate({"url": url, "shadow": {"url": url}})

    assert "S3cret" not in repr(database) + str(database) + database.model_dump_json() + repr(target(database, {}))
    assert "S3cret" not in json.dumps(database.model_dump(mode="json"))
    assert pickle.loads(pickle.dumps(database)) == database  # noqa: S301


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:S3cret@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u:x@S3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u@server:S3cret@h/d", "postgresql://u@server:***@h/d"),
        ("postgresql://u:x#S3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:x?S3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:x/S3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:x:S3cret@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:S3cret%40@h1:5432,h2:5433/d", "postgresql://u:***@h1:5432,h2:5433/d"),
        ("postgresql://:S3cret@h/d", "postgresql://:***@h/d"),
        ("postgresql://u:S3cret@[::1]:5432/d", "postgresql://u:***@[::1]:5432/d"),
        ("postgresql://u:S3cret@[::1/d", "postgresql://u:***@[::1/d"),
        ("postgresql://u:S3cret@%2Ftmp/d", "postgresql://u:***@%2Ftmp/d"),
        ("postgresql:///d?host=/tmp&user=u&password=S3cret", "postgresql:///d?host=/tmp&user=u&password=***"),
        ("postgresql://h/d?password=S3cret&sslmode=require", "postgresql://h/d?password=***&sslmode=require"),
        ("postgresql://h/d?PASS%77ORD=S3cret", "postgresql://h/d?PASS%77ORD=***"),
        ("postgresql://h/d?sslpassword=S3cret#x", "postgresql://h/d?sslpassword=***"),
        ("postgresql://h?password=x@S3cret", "postgresql://h?password=***"),
        ("postgresql://h/d?pasword=S3cret", "postgresql://h/d?pasword=***"),
        ("host=h password=S3cret dbname=d", "host=h password=*** dbname=d"),
        ("host=h password='x S3cret' dbname=d", "host=h password='***' dbname=d"),
    ],
)
def test_a_password_is_masked_in_a_url(url: str, shown: str) -> None:
    """Wherever libpq would find it, and where a person may have put it by mistake."""
    assert masked(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@h/d",
        "postgresql://u:@h/d",
        "postgresql://h:5432/d?application_name=a@b",
        "postgresql:///d?host=/var/run/postgresql&user=a@b",
        "postgresql://h1:1,h2:2/d?target_session_attrs=primary",
        "postgresql://[::1]:5432/d",
        "postgresql://h/d?lock_timeout=3s&sslkey=client.key&sslrootcert=ca.pem",
        "postgresql://h/d?password=",
        "service=reader",
        "",
    ],
)
def test_a_url_without_a_password_is_shown_as_it_is(url: str) -> None:
    """Ports, sockets and parameters are no passwords, so nobody is warned of one."""
    assert masked(url) == url


@given(st.text(st.characters(exclude_characters="@?&", exclude_categories=["Cs"]), min_size=1))
def test_any_password_is_masked(password: str) -> None:
    """Whatever characters it has, also those that should have been escaped."""
    assert masked(f"postgresql://u:{password}@h/d") == "postgresql://u:***@h/d"


@pytest.mark.parametrize("key", ["url_env", "url_file"])
def test_a_url_in_the_place_of_its_name_is_masked(tmp_path: Path, key: str) -> None:
    """Who writes the URL where the variable's or the file's name belongs does not find the password in the log."""
    url = "postgresql://u:S3cret@h/d"
    database = load(flags={key: url}, environ={}, start=tmp_path)

    with pytest.raises(ConfigurationError) as caught:
        target(database, environ={})

    assert "S3cret" not in str(caught.value)


# Drift that is accepted.

ENTRY = '[[database.reader.drift_ignore]]\nobject = "TABLE shop.*"\nreason = "a test"\nuntil = 2026-12-31\n'


def test_drift_ignore(tmp_path: Path) -> None:
    """Each entry says which objects, why and until which day; it is in the JSON of a request, and comes back."""
    write(tmp_path, ENTRY + ENTRY.replace("2026-12-31", '"2027-01-01"') + 'property = "grants"\n')

    database = load(None, None, {}, tmp_path)

    first, second = database.drift_ignore
    assert (first.object, first.property, first.reason) == ("TABLE shop.*", None, "a test")
    assert (str(first.until), str(second.until), second.property) == ("2026-12-31", "2027-01-01", "grants")
    assert Database.model_validate_json(database.model_dump_json()).drift_ignore == database.drift_ignore


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("reason", "reasn"), "entry 1: reason is missing"),
        (('"a test"', '" "'), "entry 1: reason: "),
        (("until = 2026-12-31", ""), "entry 1: until is missing"),
        (("2026-12-31", "20261231"), "entry 1: until: is no day; write it as 2026-12-31"),
        (("2026-12-31", '"tomorrow"'), "entry 1: until: is no day; write it as 2026-12-31"),
        (("2026-12-31", "2026-12-31T10:00:00"), "entry 1: until: is no day; write it as 2026-12-31"),
        (('"TABLE shop.*"', '""'), "entry 1: object: "),
        (("reason", 'who = "me"\nreason'), "entry 1: unknown key 'who'. Known: object, property, reason, until."),
        (("[[database.reader.drift_ignore]]", "[database.reader.drift_ignore]"), "is no list of tables"),
    ],
)
def test_drift_ignore_that_says_too_little(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    """Nothing is accepted for ever, or without a reason; the entry is named."""
    write(tmp_path, ENTRY.replace(*change))

    with pytest.raises(ConfigurationError) as caught:
        load(None, None, {}, tmp_path)

    assert "[[database.reader.drift_ignore]]" in str(caught.value)
    assert problem in str(caught.value)
