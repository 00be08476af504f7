"""
Settings: what differs between two databases, read once at the edge and passed on.

Flag over environment over ``pgrollout.toml`` over default. The file is at the project's root, one table per
database; every key is also an environment variable, ``PGROLLOUT_<KEY>`` (``PGROLLOUT_SHADOW_<KEY>`` for the
shadow's), which applies to the database chosen. Unknown keys are errors. Says where a database is; connecting is
left to ``postgres.connection``.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    StringConstraints,
    ValidationError,
)

from pgrollout.errors import ConfigurationError
from pgrollout.files import STATE_NAME
from pgrollout.secrets import is_secret_name, mask_statement

CONFIG_NAME = "pgrollout.toml"
LIBPQ_TARGETS = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE", "PGPORT")
"""Variables of libpq that say which server is meant; others, like PGPASSWORD, only say how."""

NO_EMBEDDED = "PGROLLOUT_NO_EMBEDDED"
"""Set in the image: there a database that nobody names is an error, and not the embedded server's."""


class Shadow(BaseModel):
    """The throw-away database that the directory is replayed on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    server: Literal["embedded", "url", "none"] = Field(
        "embedded", description="Where it is made: the embedded server, the server of url_env, or not at all."
    )
    url_env: str | None = Field(None, description="Environment variable with the URL of a server that may be filled.")
    url: SecretStr | None = Field(None, description="That URL itself; from PGROLLOUT_SHADOW_URL only.", exclude=True)
    roles: tuple[str, ...] = Field((), description="Roles made NOLOGIN there if missing; GRANT statements add theirs.")
    setup_sql: str | None = Field(None, description="SQL file run first: what production has and no migration makes.")


def _day(value: Any) -> date:
    """Return the day that is meant: pydantic would take a number for seconds since 1970."""
    if type(value) is date:
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise ValueError("is no day; write it as 2026-12-31")


_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class DriftIgnore(BaseModel):
    """Drift that somebody accepts until a day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    object: _Text = Field(description="Which objects, as drift prints them, with * and ?: INDEX shop.orders_tmp_idx.")
    property: _Text | None = Field(None, description="Only this property of them; left out, all that differs.")
    reason: _Text = Field(description="Why it is accepted.")
    until: Annotated[date, BeforeValidator(_day)] = Field(description="The last day on which it is.")


class Database(BaseModel):
    """What differs between two databases; everything else is code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("default", description="Name of its table in pgrollout.toml.")
    root: Path = Field(Path(), description="The project's root: relative paths start here, and .pgrollout/ is here.")
    migrations: str = Field("migrations", description="The migration directory: a path, or file://path.")
    url: SecretStr | None = Field(None, description="libpq URI; from --url or PGROLLOUT_URL only.", exclude=True)
    url_env: str | None = Field(None, description="Environment variable that has the URL.")
    url_file: str | None = Field(None, description="File that has the URL, as a mounted Secret.")
    service: str | None = Field(None, description="Section of libpq's service file.")
    role: str | None = Field(None, description="SET ROLE after login; owns what is made, and the ledger.")
    schemas: tuple[str, ...] = Field(("*",), description="Schemas that verify looks at, as patterns.")
    exclude: tuple[str, ...] = Field((), description="Objects left out of that: Atlas's patterns, schema.object.")
    revisions_schema: str | None = Field(None, description="Schema of atlas_schema_revisions; else as Atlas finds it.")
    ledger_schema: str = Field("pgrollout", description="Schema of the ledger.")
    exec_order: Literal["linear", "linear-skip", "non-linear"] = Field(
        "linear", description="Files older than the newest applied one: refused, left out, or run first."
    )
    wait_for_run_ms: NonNegativeInt = Field(600_000, description="How long to wait for another run, in milliseconds.")
    run_deadline_ms: NonNegativeInt = Field(
        0, description="How long a run may take before it stops at its next safe point, in milliseconds; 0 is no limit."
    )
    lease_timeout_ms: PositiveInt = Field(
        30_000, description="How old a run's last sign of life may be before another takes over, in milliseconds."
    )
    stall_budget_ms: PositiveInt = Field(
        1000, description="Longest that anyone else may wait because of us, in milliseconds."
    )
    stall_guard: Literal["watchdog", "server"] = Field(
        "watchdog",
        description="Who ends work that others wait for: we, once somebody does, or the server, in any case.",
    )
    table_lock_deadline_ms: NonNegativeInt = Field(
        300_000, description="How long to try for the tables of a migration, in milliseconds."
    )
    small_table_bytes: NonNegativeInt = Field(
        1024 * 1024,
        description="Up to this size of a table an index that is to be built online is built in its plain form.",
    )
    online_builds: Literal["wait", "leave"] = Field(
        "wait",
        description="An online build that takes more than a second is waited for, or left for a later run to find.",
    )
    connect_timeout_ms: PositiveInt = Field(10_000, description="How long to wait for a connection, per host.")
    pooler: Literal["auto", "session", "none"] = Field(
        "auto", description="A pooler in between: looked for and refused, in session mode and fine, or not looked for."
    )
    backup: Literal["dump", "schema", "none"] = Field("dump", description="What is dumped before migrations run.")
    backup_dir: str = Field(".pgrollout/backups", description="Folder that backups are written to.")
    backup_jobs: PositiveInt = Field(4, description="Tables dumped at the same time.")
    alert_url_env: str | None = Field(None, description="Environment variable with the webhook told of failed runs.")
    drift_gate: Literal["refuse", "warn"] = Field(
        "refuse", description="Drift on what a pending file touches: the run is refused, or only warned of."
    )
    drift_ignore: tuple[DriftIgnore, ...] = Field(
        (), description="Drift that is accepted until a day; in the file only."
    )
    shadow: Shadow = Field(Shadow(), description="The throw-away database that the directory is replayed on.")

    def path(self, value: str) -> Path:
        """Return a configured path, relative ones from the project's root; ``file://`` is taken off."""
        return self.root / Path(value.removeprefix("file://")).expanduser()

    @property
    def migrations_path(self) -> Path:
        """
        The migration directory.

        Raises:
            ConfigurationError: A format of another tool is asked for.
        """
        path, _, query = self.migrations.partition("?")
        if query not in ("", "format=atlas"):
            raise ConfigurationError("migrations", f"{query}: only Atlas's own format can be read.", "Import it first.")
        return self.path(path)

    @property
    def state_path(self) -> Path:
        """``.pgrollout/``: caches, releases, reports; backups by default."""
        return self.root / STATE_NAME


@dataclass(frozen=True, slots=True)
class Target:
    """Where a database is."""

    kind: Literal["url", "service", "libpq", "embedded"]
    """How it is named: a libpq URI, a service, libpq's own variables, or the embedded server."""
    value: SecretStr
    """The URI or the service's name; empty for the other kinds."""
    source: str
    """Who says so, for people: ``--url``, ``READER_DATABASE_URL``, ``PG* variables``."""


def config_path(environ: Mapping[str, str], start: Path) -> Path | None:
    """Return the configuration file: ``PGROLLOUT_CONFIG``, else the nearest upwards from ``start``, else none."""
    if named := environ.get("PGROLLOUT_CONFIG"):
        if not Path(named).is_file():
            raise ConfigurationError("PGROLLOUT_CONFIG", f"there is no file {named}.")
        return Path(named)
    for folder in (start, *start.parents):
        if (folder / CONFIG_NAME).is_file():
            return folder / CONFIG_NAME
    return None


def database_names(environ: Mapping[str, str] = os.environ, start: Path | None = None) -> tuple[str, ...]:
    """Return the names of the configured databases, in the file's order; ``("default",)`` without a file."""
    path = config_path(environ, start or Path.cwd())
    return tuple(_tables(path)) if path else ("default",)


def flag_keys() -> tuple[str, ...]:
    """Return the keys that a command line may give: those of the database, and the shadow's as ``shadow_<key>``."""
    ours = (key for key in Database.model_fields if key not in _NO_TEXT)
    return (*ours, *(f"shadow_{key}" for key in Shadow.model_fields if key != "url"))


def load(
    name: str | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] = os.environ,
    start: Path | None = None,
) -> Database:
    """
    Return the settings of one database.

    Args:
        name: Its table in the file; may be left out when there is one.
        flags: What the command line says, by key; None values say nothing. ``shadow_<key>`` reaches the shadow.
        environ: The environment.
        start: Folder from which the file is looked for, upwards; the working directory by default.

    Raises:
        ConfigurationError: No such database, an unknown key, or a value that cannot be.
    """
    start = start or Path.cwd()
    path = config_path(environ, start)
    name = name or environ.get("PGROLLOUT_DATABASE")
    tables = _tables(path) if path else {name or "default": {}}
    name = name or _only(tables, path)
    if name not in tables:
        known = ", ".join(tables)
        raise ConfigurationError(str(path or CONFIG_NAME), f"there is no [database.{name}].", f"There are: {known}.")
    values: dict[str, Any] = dict(tables[name])
    shadow = values.pop("shadow", {})
    if not isinstance(shadow, dict):
        raise ConfigurationError(f"{path}, [database.{name}]", "shadow is no table.", _SHADOW_ADVICE)
    shadow = dict(shadow)
    for table, where_it_is in ((values, f"[database.{name}]"), (shadow, f"[database.{name}.shadow]")):
        for key, value in table.items():
            if key in _NOT_IN_FILE:
                raise ConfigurationError(
                    f"{path}, {where_it_is}", f"{key} does not belong in the file.", _NOT_IN_FILE[key]
                )
            if isinstance(value, bool):
                raise ConfigurationError(f"{path}, {where_it_is}", f"{key}: it cannot be true or false.")
    given = {key: value for key, value in (flags or {}).items() if value not in (None, ())}
    where: dict[tuple[str, ...], str] = {}
    for model, prefix, target, loc in (
        (Database, "PGROLLOUT_", values, ()),
        (Shadow, "PGROLLOUT_SHADOW_", shadow, ("shadow",)),
    ):
        for key in model.model_fields:
            variable = prefix + key.upper()
            if key in _NO_TEXT:
                continue
            if variable in environ:
                target[key] = _from_text(model, key, environ[variable])
                where[(*loc, key)] = variable
            flag = "_".join((*loc, key))
            if flag in given:
                value = given[flag]
                target[key] = _from_text(model, key, value) if isinstance(value, str) else value
                where[(*loc, key)] = "--" + flag.replace("_", "-")
    if (shadow.get("url_env") or shadow.get("url")) and "server" not in shadow:
        shadow["server"] = "url"
    root = path.resolve().parent if path else start
    try:
        return Database(name=name, root=root, shadow=Shadow(**shadow), **values)
    except ValidationError as error:
        raise _configuration_error(error, path, name, where) from error
    except TypeError as error:
        raise ConfigurationError(str(path), str(error)) from error


def target(database: Database, environ: Mapping[str, str] = os.environ) -> Target:
    """
    Return where the database is, by the first source that says something.

    ``--url`` or ``PGROLLOUT_URL``; ``url_env``, ``url_file`` or ``service`` of the file; ``DATABASE_URL``; libpq's own
    variables; else the embedded server.

    Raises:
        ConfigurationError: The named variable or file is not there or empty.
    """
    if database.url is not None:
        url = database.url.get_secret_value().strip()
        if not url:
            # libpq would take it for its own defaults, and another database be migrated than was meant.
            raise ConfigurationError(
                "--url or PGROLLOUT_URL", "it is empty.", "Leave it out, or give the database's URL."
            )
        return Target("url", SecretStr(url), "--url or PGROLLOUT_URL")
    if database.url_env:
        return Target(
            "url", _variable(database.url_env, environ, f"[database.{database.name}] url_env"), database.url_env
        )
    if database.url_file:
        path = database.path(database.url_file)
        try:
            url = path.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ConfigurationError(f"url_file {masked(database.url_file)}", f"cannot be read: {problem}.") from error
        if not url:
            raise ConfigurationError(f"url_file {path}", "it is empty.", "Write the database's URL into it.")
        return Target("url", SecretStr(url), str(path))
    if database.service:
        return Target("service", SecretStr(database.service), f"service {database.service}")
    if url := environ.get("DATABASE_URL", "").strip():
        return Target("url", SecretStr(url), "DATABASE_URL")
    if any(environ.get(variable) for variable in LIBPQ_TARGETS):
        return Target("libpq", SecretStr(""), "PG* variables")
    if environ.get(NO_EMBEDDED):
        raise ConfigurationError(
            f"[database.{database.name}]",
            "nothing says where it is, and a server that lives as long as this container is not meant.",
            "Set DATABASE_URL, or PGHOST and PGDATABASE, from a Secret; check its name and its keys.",
        )
    return Target("embedded", SecretStr(""), "the embedded server")


def shadow_url(database: Database, environ: Mapping[str, str] = os.environ) -> SecretStr:
    """Return the URL of the server for shadow databases; only asked when ``shadow.server`` is ``url``."""
    if database.shadow.url is not None:
        return database.shadow.url
    if not database.shadow.url_env:
        raise ConfigurationError(
            f"[database.{database.name}.shadow]", 'server = "url" needs url_env.', "Name the variable that has the URL."
        )
    return _variable(database.shadow.url_env, environ, f"[database.{database.name}.shadow] url_env")


def masked(url: str) -> str:
    """
    Return the URL with its password, also one among the parameters, replaced by ``***``.

    Credentials end at the last ``@`` before the parameters: libpq takes ``#``, ``?`` and ``@`` in a password as they are.
    """
    scheme, found, rest = url.partition("://")
    if not found:
        return mask_statement(url)
    slash = rest.find("/") if "/" in rest else len(rest)
    path, mark, parameters = rest[slash:].partition("?")
    login, at, host = (rest[:slash] + path).rpartition("@")
    user, colon, password = login.partition(":")
    shown = f"{user}{colon}{'***' if password else ''}{at}{host}{mark}{parameters}"
    return f"{scheme}{found}{_PARAMETER.sub(_masked_parameter, shown)}"


_PARAMETER = re.compile(r"(?<=[?&])([^=&?]*)=([^&]*)")
"""libpq takes a name with a typo, ``?pasword=``, for a setting of the server."""


def _masked_parameter(found: re.Match[str]) -> str:
    return f"{found[1]}=***" if is_secret_name(unquote(found[1])) and found[2] else found[0]


_NOT_IN_FILE = {
    "url": "Keep it in the environment: url_env names the variable, url_file a file.",
    "name": "A database is named by its table, [database.NAME].",
    "root": "Paths start at the folder of the file.",
}
_NO_TEXT = ("name", "root", "shadow", "drift_ignore")
"""Keys that are neither a flag nor a variable."""
_SHADOW_ADVICE = "Write [database.NAME.shadow], and below it server, url_env, roles or setup_sql."


def _tables(path: Path) -> dict[str, dict[str, Any]]:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(str(path), f"cannot be read: {error}.") from error
    unknown = [key for key in content if key != "database"]
    tables = content.get("database")
    if unknown:
        raise ConfigurationError(str(path), f"unknown key {unknown[0]!r}.", "Settings stand under [database.NAME].")
    if not isinstance(tables, dict) or not tables or not all(isinstance(table, dict) for table in tables.values()):
        raise ConfigurationError(str(path), "has no [database.NAME] table.", "Add one: the name is yours to choose.")
    return tables


def _only(tables: Mapping[str, Any], path: Path | None) -> str:
    if len(tables) > 1:
        known = ", ".join(tables)
        raise ConfigurationError(str(path), f"has several databases: {known}.", "Say which with --database NAME.")
    return next(iter(tables))


def _from_text(model: type[BaseModel], key: str, text: str) -> Any:
    if "tuple" in str(model.model_fields[key].annotation):
        return tuple(item.strip() for item in text.split(",") if item.strip())
    return text


def _variable(variable: str, environ: Mapping[str, str], where: str) -> SecretStr:
    url = environ.get(variable, "").strip()
    if not url:
        raise ConfigurationError(where, f"the environment has no {masked(variable)}.", "Set it to the database's URL.")
    return SecretStr(url)


def _configuration_error(
    error: ValidationError, path: Path | None, name: str, where: Mapping[tuple[str, ...], str]
) -> ConfigurationError:
    first = error.errors(include_url=False, include_input=False)[0]
    loc = tuple(str(part) for part in first["loc"])
    if loc[0] == "drift_ignore":
        return _drift_ignore_error(first["type"], first["msg"], loc[1:], f"{path}, [[database.{name}.drift_ignore]]")
    model: type[BaseModel] = Shadow if error.title == "Shadow" else Database
    prefix = ("shadow",) if model is Shadow else ()
    table = f"[database.{name}.shadow]" if model is Shadow else f"[database.{name}]"
    key = (*prefix, *loc)[: len(prefix) + 1]
    source = where.get(key) or f"{path or CONFIG_NAME}, {table}"
    if first["type"] == "extra_forbidden":
        from difflib import get_close_matches  # for this error only

        known = sorted(set(model.model_fields) - {"name", "root", "url"})
        meant = "".join(f"Did you mean {key!r}? " for key in get_close_matches(loc[0], known, n=1))
        return ConfigurationError(source, f"unknown key {loc[0]!r}.", f"{meant}Known: {', '.join(known)}.")
    return ConfigurationError(source, f"{'.'.join(loc)}: {first['msg']}.")


def _drift_ignore_error(kind: str, message: str, loc: tuple[str, ...], where: str) -> ConfigurationError:
    known = ", ".join(DriftIgnore.model_fields)
    if len(loc) < 2:
        return ConfigurationError(where, "is no list of tables.", f"Each has: {known}.")
    where = f"{where}, entry {int(loc[0]) + 1}"
    if kind == "extra_forbidden":
        return ConfigurationError(where, f"unknown key {loc[1]!r}.", f"Known: {known}.")
    if kind == "missing":
        return ConfigurationError(where, f"{loc[1]} is missing.", "Each says which object, why, and until which day.")
    return ConfigurationError(where, f"{loc[1]}: {message.removeprefix('Value error, ')}.")
