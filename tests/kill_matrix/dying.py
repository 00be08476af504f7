"""
Dying: starts a run behind the proxy, stops it at its boundary, lets it die there, and runs again until it is done.

In ``during`` another session makes the server stop in the middle of the message, which is seen in the catalog; where nothing
can hold it, the run is struck just after the message was sent. What is done is told in a story; what is wrong, in problems.
"""

import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.kill_matrix import oracle
from tests.kill_matrix.bench import RUN_SECONDS, Bench, Run
from tests.kill_matrix.case import Boundary, Case, Phase, Result, Way
from tests.kill_matrix.labels import BY_NAME as LABELS
from tests.kill_matrix.labels import UNKNOWN, WRITES, label_of
from tests.kill_matrix.oracle import Picture
from tests.kill_matrix.proxy import Message, Moment, Proxy, Side, Trap
from tests.kill_matrix.scenarios import BY_NAME, RECORD_HOLDS, Scenario
from tests.kill_matrix.waiting import until
from tests.project import Project, is_gone

DONE, FAILED, WAIT = 0, 1, 75
MOST_RUNS = 3
"""After how many runs it has to be done, those not counted that ended with a question to a person."""
TERM_SECONDS = 20.0
"""How long a run may take to end that is asked to."""


@dataclass(frozen=True)
class Survey:
    """What a run does that nobody disturbs."""

    boundaries: tuple[Boundary, ...]
    picture: Picture
    """What it leaves."""


def survey(bench: Bench, scenario: Scenario, version: int) -> Survey:
    """
    Run a scenario through the proxy, undisturbed.

    Raises:
        AssertionError: It does not end well, leaves what it should not, or sends a message that has no label.
    """
    with bench.project(scenario, version) as project:
        attempts = _Attempts(bench, scenario, project)
        with attempts.behind_proxy(None) as (proxy, run):
            if not attempts.is_done_after(run):
                attempts.run_again()
        problems = attempts.problems + _unlabelled(proxy) + attempts.left(may_be_lost=False)
        if problems:
            name = f"{scenario.name} on PostgreSQL {version}, undisturbed"
            raise AssertionError("\n    ".join([name, *problems, *attempts.story]))
        return Survey(tuple(_boundaries(scenario, project, proxy.messages)), oracle.picture(project.database))


def run_case(bench: Bench, case: Case, undisturbed: Survey) -> Result:
    """Run a case, and judge."""
    started = time.monotonic()
    problems: list[str] = []
    story: list[str] = []
    try:
        with bench.project(BY_NAME[case.scenario], case.version) as project:
            attempts = _Attempts(bench, BY_NAME[case.scenario], project)
            problems, story = attempts.problems, attempts.story
            attempts.die(case)
            problems += attempts.left(may_be_lost=case.way is Way.CRASH)
            problems += undisturbed.picture.differences(oracle.picture(project.database))
    except (AssertionError, psycopg.Error, OSError) as error:
        problems.append(f"{type(error).__name__}: {error}")
    return Result(case, tuple(problems), tuple(story), time.monotonic() - started)


def _boundaries(scenario: Scenario, project: Project, messages: list[Message]) -> Iterator[Boundary]:
    read: set[Side] = set()
    for message in messages:
        label = LABELS[message.label]
        if not label.is_boundary or (label.only_reads and message.side in read):
            continue
        at = message.side, message.label, message.number
        yield Boundary(*at, Phase.BEFORE)
        if label.only_reads:
            read.add(message.side)
            continue
        read.discard(message.side)
        if not message.is_answered:
            continue
        holds = scenario.can_hold(message.text, project.database.name, has_failed=message.has_failed)
        for hold in holds:
            yield Boundary(*at, Phase.DURING, hold.name)
            yield Boundary(*at, Phase.ORPHANED, hold.name)
        if not holds:
            yield Boundary(*at, Phase.DURING)
        yield Boundary(*at, Phase.ANSWERED)


def _unlabelled(proxy: Proxy) -> list[str]:
    return [f"no label for the message: {each.text}" for each in proxy.messages if each.label == UNKNOWN]


class _Attempts:
    """The runs on a scenario's project, one after the other."""

    def __init__(self, bench: Bench, scenario: Scenario, project: Project) -> None:
        self.problems: list[str] = []
        self.story: list[str] = []
        self._started = time.monotonic()
        self._bench = bench
        self._scenario = scenario
        self._project = project
        self._database = project.database
        self._log = bench.logged(project.database.server.version).log
        self._log.skip()

    @contextmanager
    def behind_proxy(self, trap: Trap | None) -> Iterator[tuple[Proxy, Run]]:
        """Start a run behind a proxy; end both with the block."""
        server, name = self._database.server, self._database.name
        statements = self._scenario.named(name)
        with tempfile.TemporaryDirectory(prefix="pgr-proxy-", dir="/tmp") as folder:
            proxy = Proxy(Path(folder), server, lambda side, text: label_of(side, text, statements), trap)
            run = self._bench.start(self._project, "apply", url=server.url(name, host=folder))
            try:
                yield proxy, run
            finally:
                run.kill()
                proxy.close()

    def run_again(self, meet: Callable[[Run], None] | None = None) -> None:
        """Run until it is done; the first of these runs is met while it is under way."""
        waited = 0
        while waited < MOST_RUNS and not self.problems:
            run = self._bench.start(self._project, "apply")
            try:
                if meet:
                    meet(run)
                    meet = None
                if self.is_done_after(run):
                    self._end_lost_run()
                    return
                waited += run.wait() == WAIT
            finally:
                run.kill()
        if not self.problems:
            self.problems.append(f"not done after {MOST_RUNS} runs")

    def is_done_after(self, run: Run) -> bool:
        """Wait for the end of a run, and do what it asks a person for; return whether all is done."""
        code, verdict = run.wait(), self._scenario.verdict
        self._tell(f"a run ended with {code}: {run.last_words}")
        if code in (DONE, WAIT):
            return code == DONE
        if code != FAILED or verdict is None or not re.search(verdict.says, run.said):
            self.problems.append(f"a run ended with {code}: {run.said}")
            return False
        self.problems += oracle.carcasses(self._database)
        if verdict.fix:
            self._database.execute(verdict.fix)
        if verdict.is_done:
            self._resolve(verdict.is_done, verdict.undo, run.said)
        return False

    def _end_lost_run(self) -> None:
        """Let a run that died when all was done count as dead, and the next one record its end."""
        if not self.problems and self._database.execute(oracle.LOST):
            until(lambda: self._database.execute(oracle.IS_DEAD), "the lost run counts as dead")
            self.run_again()

    def left(self, *, may_be_lost: bool) -> list[str]:
        """Return what is wrong with what the runs did, and with what they left."""
        entries = self._log.read(self._database)
        return [
            *oracle.effects(self._scenario, self._database, entries, may_be_lost=may_be_lost),
            *oracle.carcasses(self._database),
            *oracle.left_behind(self._database),
            *oracle.records(self._project),
        ]

    def die(self, case: Case) -> None:
        """Run up to the boundary, die, and run again until it is done."""
        at = case.boundary
        moment = Moment.ANSWERED if at.phase is Phase.ANSWERED else Moment.ARRIVED
        trap = Trap(at.side, at.label, at.number, moment)
        with self.behind_proxy(trap) as (proxy, run), ExitStack() as stack:
            until(lambda: trap.caught.is_set() or run.has_ended, "the boundary")
            if not trap.caught.is_set():
                raise AssertionError(f"the run ended before its boundary, with {run.wait()}:\n{run.said}")
            self._tell(f"{proxy.run} is at its boundary")
            let_go = self._hold(stack, trap, at.held_by) if at.held_by else _nothing
            if at.phase is Phase.DURING:
                trap.release()
            if case.way is Way.FREEZE:
                self._freeze(case, proxy, run, trap, let_go)
            else:
                self._strike(case, proxy, run, trap, let_go)
                self.run_again(self._meeting(case, proxy, trap, let_go))
                if case.way is Way.HALF_OPEN and _is_under_way(case, proxy, trap):
                    # While the server still believes in the connection.
                    self.problems += oracle.left_behind(self._database)
            self.problems += _unlabelled(proxy)

    def _hold(self, stack: ExitStack, trap: Trap, name: str) -> Callable[[], None]:
        """Have the server stop in the middle of the message; return what lets it go on."""
        assert trap.link is not None
        assert trap.message is not None
        message, pid = trap.message, trap.link.backend_pid
        holds = self._scenario.can_hold(message.text, self._database.name, has_failed=False)
        hold = next(each for each in holds if each.name == name)
        holder = stack.enter_context(self._database.connect(autocommit=False))
        holder.execute(hold.sql.encode())
        observer = stack.enter_context(self._database.connect())
        trap.release()

        def is_held() -> bool:
            if message.is_answered:
                raise AssertionError(f"{name} did not hold the server")
            blocked = observer.execute(
                "SELECT %s = ANY (pg_blocking_pids(%s))", [holder.info.backend_pid, pid]
            ).fetchone()
            return blocked == (True,)

        until(is_held, f"a backend that waits for {name}")
        self._tell(f"the server is held by {name}")
        return holder.close

    def _strike(self, case: Case, proxy: Proxy, run: Run, trap: Trap, let_go: Callable[[], None]) -> None:
        """Let the run die, and the server go on with what it is at, unless the next run is to meet it at that."""
        server, is_met = self._database.server, case.boundary.phase is Phase.ORPHANED
        codes = self._codes(case, proxy, trap)
        match case.way:
            case Way.KILL:
                run.kill()
                trap.drop()
            case Way.CUT | Way.HALF_OPEN:
                proxy.cut(keep_server=case.way is Way.HALF_OPEN)
                trap.drop()
                self._expect(run, codes)
            case Way.TERMINATE:
                assert trap.link is not None
                pid = trap.link.backend_pid
                self._database.execute("SELECT pg_terminate_backend(%s)", pid)
                until(lambda: is_gone(self._database, pid), "the end of the backend")
                trap.release()
                self._expect(run, codes)
            case Way.CRASH:
                server.stop(signal.SIGQUIT)
                trap.drop()
                try:
                    self._expect(run, codes)
                finally:
                    server.start()
            case Way.TERM:
                run.child.send_signal(signal.SIGTERM)
                trap.release()
                if case.boundary.held_by in RECORD_HOLDS:
                    let_go()  # records are short, and not cancelled
                self._expect(run, codes, TERM_SECONDS)
            case Way.FREEZE:
                raise ValueError(case.way)
        self._tell(f"{case.way}: {run.last_words}")
        if not is_met:
            let_go()

    def _freeze(self, case: Case, proxy: Proxy, run: Run, trap: Trap, let_go: Callable[[], None]) -> None:
        """Freeze the run, have another take over and finish, and wake it: it must change nothing."""
        run.child.send_signal(signal.SIGSTOP)
        self._tell("frozen")
        if case.boundary.phase is not Phase.ORPHANED:
            let_go()
        self.run_again(self._meeting(case, proxy, trap, let_go))
        before = oracle.everything(self._database)
        codes = self._codes(case, proxy, trap)
        run.child.send_signal(signal.SIGCONT)
        trap.release()
        self._expect(run, codes)
        self._tell(f"woken: {run.last_words}")
        after = oracle.everything(self._database)
        if before != after:
            self.problems.append("the run that was taken over changed something: " + oracle.changes(before, after))

    def _meeting(
        self, case: Case, proxy: Proxy, trap: Trap, let_go: Callable[[], None]
    ) -> Callable[[Run], None] | None:
        """Return what waits until the next run has met what the dead one left at work, and then lets that go on."""
        if case.boundary.phase is not Phase.ORPHANED:
            return None
        assert trap.link is not None
        pid, token = trap.link.backend_pid, oracle.token(self._database)

        def meet(run: Run) -> None:
            def has_met() -> bool:
                return (
                    run.has_ended
                    or is_gone(self._database, pid)
                    or oracle.token(self._database) != token
                    or oracle.waits_for_lock(self._database, proxy.run)
                )

            until(has_met, "the next run meeting the orphan")
            self._tell("the next run is there")
            let_go()

        return meet

    def _codes(self, case: Case, proxy: Proxy, trap: Trap) -> set[int]:
        """Return how the run may end."""
        hears = case.way in (Way.TERMINATE, Way.FREEZE, Way.TERM)
        reached = _reached(case, proxy, trap)
        knows_end = any(each.label == "end" and (hears or each is not trap.message) for each in reached)
        may_finish = (
            knows_end
            or case.way is Way.TERM
            or case.boundary.side is Side.WATCH
            or (case.way is Way.FREEZE and not _has_begun(case, proxy, trap))
        )
        verdict = self._scenario.verdict
        may_fail = verdict is not None and verdict.always  # also if it was frozen: the server had told it before
        return {WAIT} | ({DONE} if may_finish else set()) | ({FAILED} if may_fail else set())

    def _expect(self, run: Run, codes: set[int], seconds: float = RUN_SECONDS) -> None:
        code = run.wait(seconds)
        if code not in codes:
            self.problems.append(f"the run ended with {code}, not with one of {sorted(codes)}: {run.said}")

    def _resolve(self, is_done: str, undo: str, said: str) -> None:
        """Do what a person does who is asked whether a statement took effect."""
        asked = re.search(r"pgrollout resolve (\S+) (\d+)", said)
        assert asked is not None
        took_effect = self._database.execute(is_done) == [(True,)]
        if not took_effect:
            self._database.execute(undo)
        answer = "done" if took_effect else "run-again"
        run = self._bench.start(self._project, "resolve", asked[1], asked[2], "--as", answer, "--reason", "looked")
        self._tell(f"resolved as {answer}: {run.wait()} {run.last_words}")

    def _tell(self, what: str) -> None:
        self.story.append(f"{time.monotonic() - self._started:.2f} s  {what}")


def _reached(case: Case, proxy: Proxy, trap: Trap) -> list[Message]:
    """Return the messages that the server knows of."""
    is_sent = case.boundary.phase is not Phase.BEFORE
    return [each for each in proxy.messages if each.is_answered or (each is trap.message and is_sent)]


def _has_begun(case: Case, proxy: Proxy, trap: Trap) -> bool:
    """Whether the run may have written something."""
    return any(each.label in WRITES for each in _reached(case, proxy, trap))


def _is_under_way(case: Case, proxy: Proxy, trap: Trap) -> bool:
    """Whether the run has begun, and not ended: then it has something that another needs."""
    has_ended = any(each.label == "end" for each in _reached(case, proxy, trap))
    return _has_begun(case, proxy, trap) and not has_ended


def _nothing() -> None:
    pass
