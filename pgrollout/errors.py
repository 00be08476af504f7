"""
Errors: what can go wrong, each with its facts, a sentence for a person and an exit code.

::

    PgrolloutError                  1   failed, needs a human
    ├── UsageError                  2   what was asked, or configured, cannot be
    │   ├── ConfigurationError
    │   ├── LoginFailed                 the server refuses us, and would again
    │   ├── PoolerInBetween
    │   ├── NoOpenIntent
    │   ├── ServerTooOld
    │   ├── EmbeddedServerNotRunning
    │   ├── ShadowUnavailable
    │   ├── ClusterRefused              Kubernetes refuses what the launcher asks for
    │   ├── SchemaUnavailable           what was to be shown or compared is not to be had
    │   ├── UnknownVersion, AmbiguousRevisions
    │   └── DirectoryError              the migration directory cannot be used
    │       ├── UnreadableDirectory
    │       ├── UnreadableFile          with place: NUL, UTF-8, BOM, txtar, psql, COPY data, unclosed quote, …
    │       │   └── UnknownDirective
    │       └── DuplicateVersion
    ├── HistoryError                4   directory, sum file and history do not agree
    │   ├── ChecksumMismatch, SumFileMissing, SumFileInvalid, NotInSumFile
    │   ├── AppliedFileEdited, AppliedFileGone
    │   └── OutOfOrder, MissingMigration, HistoryChanged
    ├── PolicyError                 3   refused by a rule, a plan or an approval
    │   ├── TransactionControl, SplitDiffers, StateCrosses
    │   ├── PlanChanged, ReleaseChanged
    │   ├── DriftFound, DriftInTheWay
    │   └── StallBudgetExceeded         others waited for a statement as long as they may
    ├── NotClean                    1   tables, but no history
    ├── UnresolvedIntent            1   nobody knows whether a statement ran
    ├── OrphanNotOurs               1   an earlier run left a backend that this role may not end
    ├── IndexDiffers                1   an index to be built online is there, but another one
    ├── StatementFailed             1   the server refused a statement (or 75, 3: by its SQLSTATE)
    ├── RecordsRefused              1   the server refused to keep history or ledger (or 75)
    ├── ServerRefused               1   the server refused to tell what a run must know (or 75)
    ├── EmbeddedServerFailed        1   it cannot be started; with the end of its log
    ├── ValidationFailed            1   with findings (or 2, 3: by what was found)
    ├── ReplayFailed, VerifyDiffers, BackupImpossible, RestoreRefused
    ├── NothingCompared             1   a check for drift had nothing to compare the schema with
    ├── StoredCatalogUnreadable     1   the ledger keeps a schema in a form that this version does not know
    ├── ProgramMissing              1   no pg_dump or pg_restore here fits the server
    ├── StageFailed                 1   a stage that ran elsewhere ended with an error (or 2, 3, 4, 75: as it says)
    ├── JobFailed                   1   a stage's Job ended without word of the stage (or 2, 75: by how it ended)
    └── WaitingCanCure              75  the same command may succeed later
        ├── LockNotAcquired
        ├── TableInUse                  a migration's table was in somebody else's use all the time
        ├── TableNotReadable            a dump, or a look at the schema, waits for a table that somebody else has locked
        ├── IndexBuildUnderWay          somebody else builds an index online where an interrupted build is to be settled
        ├── IndexNotDropped, DetachNotFinished   what an interrupted statement left waits for somebody
        ├── ConnectionBroken
        ├── ServerUnavailable, NoConnectionLeft, ServerIsStandby
        ├── ClusterUnreachable          the API server of Kubernetes does not answer, or has no room
        └── Interrupted

The facts are attributes and positional arguments, so errors survive pickling; the sentence is ``__str__``:
which thing, what is wrong with it and where, what to do next.
"""

from enum import IntEnum
from typing import ClassVar

from pgrollout.place import Place


class ExitCode(IntEnum):
    """What a process says when it ends; a contract with the Job's ``podFailurePolicy``, the task's retries and CI."""

    DONE = 0
    """Done, also when there was nothing to do."""
    FAILED = 1
    """Failed, needs a human."""
    USAGE = 2
    """Usage or configuration."""
    REFUSED = 3
    """Refused by policy."""
    MISMATCH = 4
    """Checksum or history mismatch."""
    WAIT = 75
    """Waiting can cure it. Source: ``sysexits.h``, ``EX_TEMPFAIL``."""


class PgrolloutError(Exception):
    """Base of all errors that pgrollout raises on purpose."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED

    @property
    def code(self) -> ExitCode:
        """The exit code of this very error; most take their class's."""
        return self.exit_code


class UsageError(PgrolloutError):
    """What was asked for, or configured, cannot be done."""

    exit_code = ExitCode.USAGE


class ConfigurationError(UsageError):
    """A setting is missing, unknown or cannot be used."""

    def __init__(self, where: str, problem: str, advice: str = "") -> None:
        super().__init__(where, problem, advice)
        self.where, self.problem, self.advice = where, problem, advice

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}" + (f" {self.advice}" if self.advice else "")


class LoginFailed(UsageError):
    """The server refuses the connection for a reason that waiting does not cure."""

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(target, problem)
        self.target, self.problem = target, problem

    def __str__(self) -> str:
        return f"{self.target}: {self.problem} Check user, password, database name and TLS files."


class PoolerInBetween(UsageError):
    """A connection pooler stands between us and the server, and may give each transaction another backend."""

    def __init__(self, target: str, pools_transactions: bool = False) -> None:
        super().__init__(target, pools_transactions)
        self.target, self.pools_transactions = target, pools_transactions

    def __str__(self) -> str:
        if self.pools_transactions:
            return (
                f"{self.target}: a connection pooler stands in between that pools transactions, whatever `pooler` says: two "
                "connections have the same backend. It would lose the lock that keeps two runs apart. Give the URL of the "
                "server itself, or let the pooler pool sessions (PgBouncer: pool_mode = session)."
            )
        return (
            f"{self.target}: a connection pooler stands in between, and in transaction mode it would lose the lock that "
            'keeps two runs apart. Give the URL of the server itself, or set pooler = "session" if it pools sessions.'
        )


class EmbeddedServerNotRunning(UsageError):
    """The embedded server does not run, and what was asked for only looks."""

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.root = root

    def __str__(self) -> str:
        return (
            f"The embedded server of {self.root} does not run, and this command does not start it. Nothing was applied "
            "there yet, or the run has ended: `pgrollout apply` or `pgrollout server` starts it; --url names another server."
        )


class ShadowUnavailable(UsageError):
    """No throw-away database can be made for the replay."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        end = "\n" if "\n" in self.problem else " "
        return (
            f"No shadow database on {self.where}: {self.problem}{end}Settle that, name a server that may be filled with "
            'shadow.url_env, or do without the replay: shadow.server = "none", or --shadow-server none.'
        )


class SchemaUnavailable(UsageError):
    """A schema that was named cannot be had: no such run, file or dump, or the shadow cannot make it."""

    def __init__(self, named: str, problem: str, advice: str = "") -> None:
        super().__init__(named, problem, advice)
        self.named, self.problem, self.advice = named, problem, advice

    def __str__(self) -> str:
        return f"{self.named}: {self.problem} {self.advice}".rstrip()


class ServerTooOld(UsageError):
    """The server is older than anything this was made for."""

    def __init__(self, target: str, version: str, oldest: int) -> None:
        super().__init__(target, version, oldest)
        self.target, self.version, self.oldest = target, version, oldest

    def __str__(self) -> str:
        return f"{self.target} is PostgreSQL {self.version}. Upgrade it: {self.oldest} is the oldest that works."


class NoOpenIntent(UsageError):
    """Somebody answers for a statement that nobody asks about."""

    def __init__(self, version: str, position: int, asked: str) -> None:
        super().__init__(version, position, asked)
        self.version, self.position, self.asked = version, position, asked

    def __str__(self) -> str:
        asked = f"Asked about: {self.asked}." if self.asked else "No statement is asked about."
        return f"Nobody asks whether statement {self.position} of version {self.version} took effect. {asked}"


class DirectoryError(UsageError):
    """The migration directory cannot be used."""


class UnreadableDirectory(DirectoryError):
    """The directory, or a file of it, cannot be read from the disk."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path, self.problem = path, problem

    def __str__(self) -> str:
        return f"The migration directory {self.path} cannot be read: {self.problem}. Name another with --dir."


class UnreadableFile(DirectoryError):
    """A file cannot be read as SQL text, or must not be run."""

    def __init__(self, place: Place, problem: str, advice: str, rule: str = "") -> None:
        super().__init__(place, problem, advice, rule)
        self.place, self.problem, self.advice, self.rule = place, problem, advice, rule

    @property
    def code(self) -> ExitCode:
        """1 for what is no SQL, 3 for what a rule forbids, 2 for the rest."""
        by_rule = {"SP101": ExitCode.FAILED, "SP103": ExitCode.REFUSED, "SP104": ExitCode.REFUSED}
        return by_rule.get(self.rule, self.exit_code)

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}\n{self.place.excerpt()}\n{self.advice}"


class UnknownDirective(UnreadableFile):
    """A ``pgrollout:`` directive that is unknown, has no such value, or would have no effect."""


class DuplicateVersion(DirectoryError):
    """Two files of the directory have the same version."""

    def __init__(self, version: str, first: str, second: str) -> None:
        super().__init__(version, first, second)
        self.version, self.first, self.second = version, first, second

    def __str__(self) -> str:
        return (
            f"{self.first} and {self.second} have the same version, {self.version}: only one of them would ever run. "
            "Give the one that is not applied yet a version of its own, then run `pgrollout hash`."
        )


class HistoryError(PgrolloutError):
    """The directory, its sum file and the history do not agree."""

    exit_code = ExitCode.MISMATCH


class ChecksumMismatch(HistoryError):
    """The migration directory no longer matches its sum file."""

    def __init__(self, file: str, reason: str, line: int) -> None:
        super().__init__(file, reason, line)
        self.file, self.reason, self.line = file, reason, line

    def __str__(self) -> str:
        return (
            f"{self.file} was {self.reason} since the directory was hashed (atlas.sum, line {self.line}). "
            "Restore the file, or run `pgrollout hash` if the change is meant."
        )


class SumFileMissing(HistoryError):
    """The directory has migrations, but no sum file."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        return f"{self.path} has migrations but no atlas.sum: nothing says what was reviewed. Run `pgrollout hash`."


class SumFileInvalid(HistoryError):
    """The sum file cannot be read, or contradicts itself."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(line, problem)
        self.line, self.problem = line, problem

    def __str__(self) -> str:
        return f"atlas.sum, line {self.line}: {self.problem}. Restore it from Git, or run `pgrollout hash` to write it anew."


class NotInSumFile(HistoryError):
    """A file is kept out of the sum file, and would be run all the same."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.file = file

    def __str__(self) -> str:
        return (
            f"{self.file} has no entry in atlas.sum (its first line says atlas:sum ignore), so nothing vouches for what "
            "would run. Remove that line and run `pgrollout hash`, or move the file out of the directory."
        )


class AppliedFileEdited(HistoryError):
    """A file was changed after it was applied."""

    def __init__(self, file: str, version: str, recorded: str, computed: str) -> None:
        super().__init__(file, version, recorded, computed)
        self.file, self.version, self.recorded, self.computed = file, version, recorded, computed

    def __str__(self) -> str:
        return (
            f"{self.file} is not the file that was applied: the history has hash {self.recorded} for version "
            f"{self.version}, the directory gives {self.computed}. It, or a file before it, was changed after it ran. "
            "Restore what was applied from Git, and put the change into a new migration (`pgrollout new`)."
        )


class AppliedFileGone(HistoryError):
    """A file was removed after it was applied, and files around it are still there."""

    def __init__(self, file: str, version: str) -> None:
        super().__init__(file, version)
        self.file, self.version = file, version

    def __str__(self) -> str:
        return (
            f"{self.file} (version {self.version}) is in the history, but not in the directory: a new database would "
            "become another one. Restore the file from Git; only files older than all others may be removed."
        )


class OutOfOrder(HistoryError):
    """Files are pending that come before files already applied."""

    def __init__(self, files: tuple[str, ...], newest: str) -> None:
        super().__init__(files, newest)
        self.files, self.newest = files, newest

    def __str__(self) -> str:
        names = ", ".join(self.files)
        what = "migration file" if len(self.files) == 1 else "migration files"
        was = "was" if len(self.files) == 1 else "were"
        return (
            f"{what} {names} {was} added out of order: version {self.newest} is already applied. Rename to a version "
            "after it and run `pgrollout hash`, or choose --exec-order non-linear (run them) or linear-skip (leave them out)."
        )


class MissingMigration(HistoryError):
    """The history says that a file is partially applied, and the file is gone."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.file = file

    def __str__(self) -> str:
        return (
            f'missing migration: revision "{self.file}" is partially applied but migration file was not found. '
            "Restore the file from Git, or settle the version by hand with `pgrollout set`."
        )


class HistoryChanged(HistoryError):
    """A statement that already ran was changed in a partially applied file."""

    def __init__(self, file: str, statement: int, recorded: str, computed: str) -> None:
        super().__init__(file, statement, recorded, computed)
        self.file, self.statement, self.recorded, self.computed = file, statement, recorded, computed

    def __str__(self) -> str:
        return (
            f"history changed: statement {self.statement} from file {self.file!r} changed after it was applied "
            f"(recorded {self.recorded}, now {self.computed}). Restore the statements that ran; later ones may be edited."
        )


class UnknownVersion(UsageError):
    """A version that no file of the directory has."""

    def __init__(self, version: str, what: str, suggestion: str = "") -> None:
        super().__init__(version, what, suggestion)
        self.version, self.what, self.suggestion = version, what, suggestion

    def __str__(self) -> str:
        hint = f" Did you mean {self.suggestion!r}?" if self.suggestion else ""
        return f"{self.what}: no migration has version {self.version!r}.{hint} `pgrollout status` lists them."


class AmbiguousRevisions(UsageError):
    """Two places could hold the history, and nothing says which does."""

    def __init__(self, chosen: str, other: str) -> None:
        super().__init__(chosen, other)
        self.chosen, self.other = chosen, other

    def __str__(self) -> str:
        return (
            f"The URL's search_path puts the revisions table in schema {self.chosen!r}, where there is none, but schema "
            f"{self.other!r} has one. Say which is meant: --revisions-schema {self.other} or --revisions-schema {self.chosen}."
        )


class PolicyError(PgrolloutError):
    """Refused by a rule, a plan or an approval."""

    exit_code = ExitCode.REFUSED


class TransactionControl(PolicyError):
    """A file that runs in our transaction ends that transaction itself."""

    def __init__(self, place: Place, statement: str) -> None:
        super().__init__(place, statement)
        self.place, self.statement = place, statement

    def __str__(self) -> str:
        return (
            f"{self.place}: {self.statement} would end the transaction that this file runs in, and a later failure "
            f"would leave half of it.\n{self.place.excerpt()}\n"
            "Remove it: the file is one transaction already. Where a file must commit in between, start it with "
            "`-- atlas:txmode none` and an empty line."
        )


class SplitDiffers(PolicyError):
    """Atlas would cut this file into other statements than the server does (rule SP108)."""

    def __init__(self, place: Place, problem: str) -> None:
        super().__init__(place, problem)
        self.place, self.problem = place, problem

    def __str__(self) -> str:
        return (
            f"{self.place}: Atlas would split this file differently from the server: {self.problem}\n"
            f"{self.place.excerpt()}\nRewrite the statement so that both agree (SP108)."
        )


class StateCrosses(PolicyError):
    """A statement may rely on what an earlier one leaves, and between them a transaction ends or the connection changes."""

    def __init__(self, place: Place, problem: str, later: Place, advice: str) -> None:
        super().__init__(place, problem, later, advice)
        self.place, self.problem, self.later, self.advice = place, problem, later, advice

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}\n{self.place.excerpt()}\n{self.later.excerpt()}\n{self.advice}"


class PlanChanged(PolicyError):
    """What would run is not the plan that was approved."""

    def __init__(self, approved: str, now: str) -> None:
        super().__init__(approved, now)
        self.approved, self.now = approved, now

    def __str__(self) -> str:
        return (
            f"The plan is not the approved one: approved {self.approved}, now {self.now}. The directory or the "
            "database's history has changed since. Look at `pgrollout plan`, and approve that one."
        )


class ReleaseChanged(PolicyError):
    """The directory is not the release that was asked for."""

    def __init__(self, asked: str, now: str) -> None:
        super().__init__(asked, now)
        self.asked, self.now = asked, now

    def __str__(self) -> str:
        return (
            f"The directory is not the release that was asked for: asked {self.asked}, the files give {self.now}. "
            "Check out the commit that was reviewed, or build a new release with `pgrollout build`."
        )


class DriftFound(PolicyError):
    """The live schema is not what the last run left, or not what the directory makes."""

    def __init__(self, database: str, differences: tuple[str, ...]) -> None:
        super().__init__(database, differences)
        self.database, self.differences = database, differences

    def __str__(self) -> str:
        count = f"{len(self.differences)} object{'s have' if len(self.differences) != 1 else ' has'} drifted"
        return (
            "\n  ".join([f"{self.database}: {count}:", *self.differences])
            + "\nWrite a migration that makes it so, undo the change, or accept it until a day: "
            f"[[database.{self.database}.drift_ignore]] in pgrollout.toml."
        )


class DriftInTheWay(PolicyError):
    """Somebody changed what a pending file touches since the last run."""

    def __init__(self, database: str, differences: tuple[str, ...]) -> None:
        super().__init__(database, differences)
        self.database, self.differences = database, differences

    def __str__(self) -> str:
        return (
            "\n  ".join(["Pending files touch what was changed since the last run:", *self.differences])
            + "\nNothing was applied. Undo the change, or accept it until a day with "
            f"[[database.{self.database}.drift_ignore]] in pgrollout.toml. Is the pending file the one that makes it so? "
            "Run it with PGROLLOUT_DRIFT_GATE=warn."
        )


class NothingCompared(PgrolloutError):
    """A check for drift found nothing that the schema could be compared with."""

    def __init__(self, database: str, reasons: tuple[str, ...]) -> None:
        super().__init__(database, reasons)
        self.database, self.reasons = database, reasons

    def __str__(self) -> str:
        return (
            "\n  ".join([f"{self.database}: the schema was compared with nothing:", *self.reasons])
            + "\nA check that looks at nothing finds no drift. Let it have one of both: a run that comes to its end "
            "(`pgrollout apply`) and the right to read the ledger, or the directory and a shadow."
        )


class StoredCatalogUnreadable(PgrolloutError):
    """A catalog in the ledger cannot be read."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return (
            f"A schema that the ledger keeps cannot be read: {self.problem}. Was it written by a later version of "
            "pgrollout? Use that one, or compare with the directory instead."
        )


class NotClean(PgrolloutError):
    """The database has tables, but no history."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"connected database is not clean: {self.reason}. baseline version or allow-dirty is required: name the "
            "version it already has with --baseline VERSION, or pass --allow-dirty to run every file on top of it."
        )


class UnresolvedIntent(PgrolloutError):
    """A statement outside a transaction was started, and nobody saw it end well."""

    def __init__(self, version: str, statement: int, text: str, since: str, advice: str = "") -> None:
        super().__init__(version, statement, text, since, advice)
        self.version, self.statement, self.text, self.since, self.advice = version, statement, text, since, advice

    def __str__(self) -> str:
        found = f"{self.advice}\n" if self.advice else ""
        return (
            f"Statement {self.statement} of version {self.version} was started outside a transaction at {self.since}, and "
            f"nobody saw it end well:\n    {self.text}\n{found}Did it take effect? Look, then say so:\n"
            f"    pgrollout resolve {self.version} {self.statement} --as done --reason '…'        it did\n"
            f"    pgrollout resolve {self.version} {self.statement} --as run-again --reason '…'   it did not; run it again"
        )


class OrphanNotOurs(PgrolloutError):
    """An earlier run has left a backend, which this role may not end, and which may still write."""

    def __init__(self, pid: int, application_name: str, user: str, role: str) -> None:
        super().__init__(pid, application_name, user, role)
        self.pid, self.application_name, self.user, self.role = pid, application_name, user, role

    def __str__(self) -> str:
        return (
            f"An earlier run has left backend {self.pid} ({self.application_name}), and {self.role} may not end it: it is of "
            f"role {self.user}. Migrate with one role always, or let this one end it:\n"
            f'    GRANT pg_signal_backend TO "{self.role}";'
        )


class StallBudgetExceeded(PolicyError):
    """Others waited for a statement's lock as long as the stall budget lets them; it was cancelled and rolled back."""

    def __init__(
        self, place: Place | None, version: str, waited_ms: int, waiters: int, budget_ms: int, held_ms: int, recipe: str
    ) -> None:
        super().__init__(place, version, waited_ms, waiters, budget_ms, held_ms, recipe)
        self.place, self.version, self.waited_ms, self.waiters = place, version, waited_ms, waiters
        self.budget_ms, self.held_ms, self.recipe = budget_ms, held_ms, recipe

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else f"version {self.version}: "
        shown = f"\n{self.place.excerpt()}" if self.place else ""
        others = "one session" if self.waiters == 1 else f"{self.waiters} sessions"
        what = "this statement" if self.place else "its COMMIT"
        why = (
            f"{others} waited {self.waited_ms} ms for {what}, which ran for {self.held_ms} ms"
            if self.waiters
            else f"{what} held a lock that others may need for {self.held_ms} ms"
        )
        return f"{where}{why}; the stall budget is {self.budget_ms} ms. It was cancelled and rolled back.{shown}\n{self.recipe}"


class IndexDiffers(PgrolloutError):
    """An index is to be built online, and there is another one of its name."""

    def __init__(self, place: Place, index: str, there: str, asked: str) -> None:
        super().__init__(place, index, there, asked)
        self.place, self.index, self.there, self.asked = place, index, there, asked

    def __str__(self) -> str:
        return (
            f"{self.place}: {self.index} is there already, and is not what this statement asks for.\n"
            f"{self.place.excerpt()}\n    there: {self.there}\n    asked: {self.asked}\n"
            "Drop or rename what is there, or give the new index another name."
        )


class StatementFailed(PgrolloutError):
    """The server refused a statement."""

    def __init__(
        self,
        place: Place | None,
        version: str,
        sqlstate: str,
        message: str,
        statement: str,
        advice: str,
        exit_code: int,
    ) -> None:
        super().__init__(place, version, sqlstate, message, statement, advice, exit_code)
        self.place, self.version, self.sqlstate, self.message = place, version, sqlstate, message
        self.statement, self.advice, self.status = statement, advice, exit_code

    @property
    def code(self) -> ExitCode:
        """By the SQLSTATE: see ``postgres/sqlstate.py``."""
        return ExitCode(self.status)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else f"version {self.version}: "
        shown = self.place.excerpt() if self.place else f"    {self.statement}"
        return f"{where}{self.message} (SQLSTATE {self.sqlstate})\n{shown}\n{self.advice}"


class EmbeddedServerFailed(PgrolloutError):
    """The embedded server cannot be started."""

    def __init__(self, problem: str, log: str, lines: tuple[str, ...]) -> None:
        super().__init__(problem, log, lines)
        self.problem, self.log, self.lines = problem, log, lines

    def __str__(self) -> str:
        said = "".join(f"\n    {line}" for line in self.lines)
        return (
            f"The embedded server cannot be used: {self.problem} Its log is {self.log}"
            + (f" and ends with:{said}\n" if said else ". ")
            + "Settle that, or name another server: --url, DATABASE_URL or url_env in pgrollout.toml."
        )


class RecordsRefused(PgrolloutError):
    """The server refused to write the history or the ledger; nothing of that transaction was kept."""

    def __init__(self, what: str, sqlstate: str, message: str, advice: str, exit_code: int) -> None:
        super().__init__(what, sqlstate, message, advice, exit_code)
        self.what, self.sqlstate, self.message, self.advice, self.status = what, sqlstate, message, advice, exit_code

    @property
    def code(self) -> ExitCode:
        """By the SQLSTATE: see ``postgres/sqlstate.py``."""
        return ExitCode(self.status)

    def __str__(self) -> str:
        return f"{self.what}: {self.message} (SQLSTATE {self.sqlstate}). Nothing of it was kept. {self.advice}"


class ServerRefused(PgrolloutError):
    """The server refused to tell what a run must know."""

    def __init__(self, doing: str, sqlstate: str, message: str, advice: str, exit_code: int) -> None:
        super().__init__(doing, sqlstate, message, advice, exit_code)
        self.doing, self.sqlstate, self.message, self.advice, self.status = doing, sqlstate, message, advice, exit_code

    @property
    def code(self) -> ExitCode:
        """By the SQLSTATE: see ``postgres/sqlstate.py``."""
        return ExitCode(self.status)

    def __str__(self) -> str:
        return f"{self.doing}: {self.message} (SQLSTATE {self.sqlstate}). {self.advice}"


class ReplayFailed(PgrolloutError):
    """The directory does not run from the start on an empty shadow database."""

    def __init__(self, place: Place | None, problem: str, advice: str) -> None:
        super().__init__(place, problem, advice)
        self.place, self.problem, self.advice = place, problem, advice

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        shown = f"\n{self.place.excerpt()}" if self.place else ""
        return f"{where}the directory does not run on an empty shadow database: {self.problem}{shown}\n{self.advice}"


class ValidationFailed(PgrolloutError):
    """Findings of severity error, or files that cannot be read."""

    def __init__(self, findings: tuple[str, ...], exit_code: int) -> None:
        super().__init__(findings, exit_code)
        self.findings, self.status = findings, exit_code

    @property
    def code(self) -> ExitCode:
        """By what was found: 2 unreadable, 1 no SQL or not to be replayed, 3 refused by a rule."""
        return ExitCode(self.status)

    def __str__(self) -> str:
        listed = "\n".join(f"    {finding}" for finding in self.findings[:20])
        more = f"\n    … and {len(self.findings) - 20} more" if len(self.findings) > 20 else ""
        return f"The directory is refused:\n{listed}{more}\nChange the migrations, or accept a rule's finding with its reason."


class VerifyDiffers(PgrolloutError):
    """The live database is not what the directory makes."""

    def __init__(self, differences: tuple[str, ...]) -> None:
        super().__init__(differences)
        self.differences = differences

    def __str__(self) -> str:
        listed = "\n".join(f"    {difference}" for difference in self.differences[:20])
        more = f"\n    … and {len(self.differences) - 20} more" if len(self.differences) > 20 else ""
        return (
            f"The database is not what the directory makes:\n{listed}{more}\n"
            "Somebody changed it by hand, or a run is incomplete: compare, then write a migration that settles it."
        )


class BackupImpossible(PgrolloutError):
    """The backup cannot be taken, or cannot be read back."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem, advice)
        self.problem, self.advice = problem, advice

    def __str__(self) -> str:
        return f"No backup: {self.problem} {self.advice}"


class RestoreRefused(PgrolloutError):
    """A backup cannot be restored here."""

    def __init__(self, problem: str, advice: str) -> None:
        super().__init__(problem, advice)
        self.problem, self.advice = problem, advice

    def __str__(self) -> str:
        return f"Not restored: {self.problem} {self.advice}"


class ProgramMissing(PgrolloutError):
    """None of PostgreSQL's own programs that are installed here fits the server."""

    def __init__(self, program: str, major: int, tls: bool, found: tuple[str, ...]) -> None:
        super().__init__(program, major, tls, found)
        self.program, self.major, self.tls, self.found = program, major, tls, found

    def __str__(self) -> str:
        found = "".join(f"\n    {place}" for place in self.found) or "\n    none was found"
        return (
            f"No {self.program} here fits PostgreSQL {self.major}{' over TLS' if self.tls else ''}:{found}\n"
            f"Install PostgreSQL's client programs of version {self.major} or newer, and put them on PATH (Debian, Ubuntu: "
            f"apt-get install postgresql-client-{self.major}, from apt.postgresql.org if the system has only older ones; "
            f"Red Hat: postgresql{self.major}; Homebrew: postgresql@{self.major})."
        )


class WaitingCanCure(PgrolloutError):
    """The same command may succeed later, unchanged."""

    exit_code = ExitCode.WAIT


class LockNotAcquired(WaitingCanCure):
    """Another run held the lock all the time that we were to wait."""

    def __init__(self, waited_ms: int, holder: str) -> None:
        super().__init__(waited_ms, holder)
        self.waited_ms, self.holder = waited_ms, holder

    def __str__(self) -> str:
        return (
            f"Another run holds the lock, {self.holder}"
            + (
                f"; waited {self.waited_ms / 1000:.0f} s for it, as long as wait_for_run_ms and run_deadline_ms let it"
                if self.waited_ms
                else ""
            )
            + ". Wait for its end, then run this again."
        )


class TableInUse(WaitingCanCure):
    """The tables of a migration were in somebody else's use as long as was to be tried."""

    def __init__(self, file: str, waited_ms: int, tries: int, holders: str) -> None:
        super().__init__(file, waited_ms, tries, holders)
        self.file, self.waited_ms, self.tries, self.holders = file, waited_ms, tries, holders

    def __str__(self) -> str:
        tries = "1 try" if self.tries == 1 else f"{self.tries} tries"
        return (
            f"{self.file}: its tables were in use for {self.waited_ms / 1000:.1f} s ({tries}): {self.holders}. Nothing of it was "
            "kept, and nobody waited for it. Wait for that session to end, or end it, then run this again; "
            "table_lock_deadline_ms tries longer."
        )


class TableNotReadable(WaitingCanCure):
    """Every table is read, for a dump or its definition, and somebody has one locked all the time that this may wait."""

    def __init__(self, waited_ms: int, holders: str) -> None:
        super().__init__(waited_ms, holders)
        self.waited_ms, self.holders = waited_ms, holders

    def __str__(self) -> str:
        return (
            f"Every table has to be read, and after {self.waited_ms / 1000:.0f} s somebody else still has one locked: "
            f"{self.holders}. Wait for that session to end, or end it, then run this again."
        )


class IndexBuildUnderWay(WaitingCanCure):
    """Somebody else builds an index of a table online, so nobody can tell which invalid one is a leftover."""

    def __init__(self, table: str, builder: str) -> None:
        super().__init__(table, builder)
        self.table, self.builder = table, builder

    def __str__(self) -> str:
        return (
            f"An index of table {self.table} is being built online by somebody else, {self.builder}, so an invalid one "
            "there may be theirs. Wait for the end of that build, then run this again."
        )


class IndexNotDropped(WaitingCanCure):
    """An index that an interrupted statement has left invalid could not be dropped in time."""

    def __init__(self, index: str, waited_ms: int, holders: str) -> None:
        super().__init__(index, waited_ms, holders)
        self.index, self.waited_ms, self.holders = index, waited_ms, holders

    def __str__(self) -> str:
        return (
            f"Index {self.index}, which an interrupted statement has left invalid, could not be dropped in "
            f"{self.waited_ms / 1000:.0f} s: {self.holders}. Wait for that to end, then run this again."
        )


class DetachNotFinished(WaitingCanCure):
    """A partition whose detaching was interrupted could not be detached for good in time."""

    def __init__(self, partition: str, parent: str, waited_ms: int, holders: str) -> None:
        super().__init__(partition, parent, waited_ms, holders)
        self.partition, self.parent, self.waited_ms, self.holders = partition, parent, waited_ms, holders

    def __str__(self) -> str:
        return (
            f"Detaching {self.partition} from {self.parent} was interrupted, so its rows are not to be seen in "
            f"{self.parent}, and it could not be finished in {self.waited_ms / 1000:.0f} s: {self.holders}. "
            "Wait for that to end, then run this again."
        )


class ServerUnavailable(WaitingCanCure):
    """The server cannot be reached, or went away."""

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(target, problem)
        self.target, self.problem = target, problem

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.problem} Check host, port, NetworkPolicy and credentials; a run that was under way "
            "continues where it stopped when this command is repeated."
        )


class NoConnectionLeft(WaitingCanCure):
    """The server, or a pooler, has no connection left for us."""

    def __init__(self, target: str, problem: str) -> None:
        super().__init__(target, problem)
        self.target, self.problem = target, problem

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.problem} A run needs two connections at a time. Wait for others to end, then run this again; "
            "or allow more: max_connections of the server, CONNECTION LIMIT of the role or the database, pool_size of a pooler."
        )


class ServerIsStandby(WaitingCanCure):
    """The server follows another one: nothing can be written there."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target

    def __str__(self) -> str:
        return (
            f"{self.target}: the server is a standby, nothing can be written there. After a failover wait until the name leads "
            "to the new primary, or name all hosts: postgresql://user@a,b/database finds it."
        )


class ConnectionBroken(WaitingCanCure):
    """The connection to the server was lost in the middle of a run."""

    def __init__(self, doing: str, problem: str) -> None:
        super().__init__(doing, problem)
        self.doing, self.problem = doing, problem

    def __str__(self) -> str:
        return (
            f"{self.doing}: the connection was lost ({self.problem}). What the server had committed stays and is in the "
            "history; run this again, and it continues from there."
        )


class Interrupted(WaitingCanCure):
    """Somebody asked the run to stop, and it did at a safe point."""

    def __init__(self, applied: int, left: int, note: str = "") -> None:
        super().__init__(applied, left, note)
        self.applied, self.left, self.note = applied, left, note

    def __str__(self) -> str:
        note = f" {self.note}" if self.note else ""
        after = "continues with them" if self.left else "finds nothing more to do"
        return f"Interrupted: {self.applied} migrations applied, {self.left} left.{note} The next run {after}."


class StageFailed(PgrolloutError):
    """A stage that ran elsewhere, in a Job, ended with an error of its own."""

    def __init__(self, stage: str, error: str, text: str, exit_code: int, is_wanted: bool = False) -> None:
        super().__init__(stage, error, text, exit_code, is_wanted)
        self.stage, self.error, self.text, self.ended_with = stage, error, text, exit_code
        self.is_wanted = is_wanted
        """Whether we stopped it, so that trying again is not for us."""

    @property
    def code(self) -> ExitCode:
        """As the stage ended."""
        try:
            return ExitCode(self.ended_with)
        except ValueError:
            return ExitCode.FAILED

    def __str__(self) -> str:
        return self.text


class JobFailed(PgrolloutError):
    """A stage's Job ended in a way of which the stage itself could say nothing."""

    def __init__(
        self, job: str, namespace: str, what: str, advice: str, exit_code: int, is_wanted: bool = False
    ) -> None:
        super().__init__(job, namespace, what, advice, exit_code, is_wanted)
        self.job, self.namespace, self.what, self.advice = job, namespace, what, advice
        self.ended_with = exit_code
        self.is_wanted = is_wanted
        """Whether somebody wanted that end, so that trying again is not for us."""

    @property
    def code(self) -> ExitCode:
        """By how it ended."""
        return ExitCode(self.ended_with)

    def __str__(self) -> str:
        return f"Job {self.job} in namespace {self.namespace}: {self.what}. {self.advice}"


class ClusterRefused(UsageError):
    """Kubernetes refuses what the launcher asks for, and would again."""

    def __init__(self, namespace: str, doing: str, problem: str) -> None:
        super().__init__(namespace, doing, problem)
        self.namespace, self.doing, self.problem = namespace, doing, problem

    def __str__(self) -> str:
        return (
            f"Kubernetes, namespace {self.namespace}: {self.doing} is refused: {self.problem}. The runner's service account "
            "needs a Role with jobs create, get, delete, pods list, watch, and pods/log get; the chart makes "
            "it with rbac.create."
        )


class ClusterUnreachable(WaitingCanCure):
    """The API server of Kubernetes did not answer, or had no room, as long as was waited."""

    def __init__(self, doing: str, problem: str, waited_seconds: int) -> None:
        super().__init__(doing, problem, waited_seconds)
        self.doing, self.problem, self.waited_seconds = doing, problem, waited_seconds

    def __str__(self) -> str:
        waited = f"for {self.waited_seconds} s " if self.waited_seconds else ""
        return (
            f"Kubernetes: {self.doing} did not succeed {waited}({self.problem}). A Job that was under way goes on by itself; "
            "the next run finds what it did. Check the API server, and the NetworkPolicy of the runner."
        )
