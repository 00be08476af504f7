"""
Runs: starts runs on one project, lets them die, freeze and meet each other, and does what they ask a person for.

Each run must end as the files, and what has been done to them, let expect. What a dead run has left at work on the server
is held there until the next one has met it.
"""

import re
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.histories.desk import Desk
from tests.histories.history import Add, Apply, Die, Edit, Freeze, Remove, Step, Tamper, Together, written
from tests.kill_matrix import oracle
from tests.kill_matrix.bench import RUN_SECONDS, Bench, Run
from tests.kill_matrix.case import Boundary, Phase, Way
from tests.kill_matrix.labels import label_of
from tests.kill_matrix.proxy import Moment, Proxy, Side, Trap
from tests.kill_matrix.waiting import until
from tests.project import Project, is_gone

DONE, FAILED, CHANGED, WAIT = 0, 1, 4, 75
READS, WRITES, ALONE = "read", "write", "alone"
"""What a message does, of which a history counts."""
_LONG = 100_000
_ONLY_READS = ("look", "lock", "unlock", "trial", "close")
_FASTER = {"PGROLLOUT_LEASE_TIMEOUT_MS": "500"}
_HASTY = {"PGROLLOUT_LEASE_TIMEOUT_MS": "40"}
"""Less than the time between two signs of life."""
_IMPATIENT = {"PGROLLOUT_TABLE_LOCK_DEADLINE_MS": "300"}
_MOST_RUNS = 3
"""After how many runs all must be done, those not counted after which a person had to do something."""
_HOLDS = (
    "SET LOCAL lock_timeout = '1s'; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM pg_class; "
    "LOCK TABLE big, small, event IN ROW EXCLUSIVE MODE; LOCK TABLE mark IN SHARE MODE"
)
"""What an application does so that a statement outside a transaction has to wait for it."""
_USES = "UPDATE item SET n = n WHERE id = 7; SELECT 1 FROM big, small, event; LOCK TABLE big IN ROW EXCLUSIVE MODE"
"""What an application does so that many statements have to wait for it."""
_ONLINE_WAITS = (
    "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid)) AND query ~ 'CONCURRENTLY|concurrently'"
)
_BLOCKED = "SELECT 1 WHERE %s = ANY (pg_blocking_pids(%s))"
_ANOTHER_RUN = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
    "AND application_name LIKE 'pgrollout/%%' AND application_name NOT LIKE %s"
)


class Runs:
    """All runs of one project, one after the other or at the same time."""

    def __init__(self, bench: Bench, project: Project) -> None:
        self.problems: list[str] = []
        self.story: list[str] = []
        self.desk = Desk(project)
        self.project = project
        self._database = project.database
        self._bench = bench
        self._started = time.monotonic()
        self._may_be_refused = False
        """Whether a statement was edited before this step that may have taken effect."""
        self._meet: Callable[[Callable[[], object]], None] | None = None
        """Waits until a run has met what the last one left at work, and lets that go on."""
        self._all = ExitStack()
        self._dead = ExitStack()
        """Proxies of dead runs: the server may believe in their connections until another run has ended."""

    @contextmanager
    def until_all_have_ended(self) -> Iterator[None]:
        """End everything with the block."""
        with self._all, self._dead:
            yield

    def do(self, step: Step) -> None:
        """Do a step, if it can be done, and nothing has gone wrong yet."""
        if self.problems:
            return
        self._tell(f"— {written(step)}")
        self._may_be_refused = self.desk.suspect is not None
        match step:
            case Add():
                file = self.desk.add(step)
                self._tell(f"{file.name}: {file.text}")
            case Remove():
                self.desk.remove()
            case Edit():
                edited = self.desk.edit(step)
                self._tell(f"{edited.name}: {edited.text}" if edited else "nothing to edit")
            case Tamper(which):
                self._tamper(which)
            case Apply(amount, is_busy):
                arguments = [str(amount)] if amount else []
                if is_busy and self.desk.has_base():
                    self._run_beside_application(arguments)
                else:
                    self._finish(self._start(*arguments))
            case Die():
                self._die(step)
            case Freeze():
                self._freeze(step)
            case Together(count, are_hasty):
                runs = [self._start(**(_HASTY if are_hasty else {})) for _ in range(count)]
                for run in runs:
                    run.wait()
                for run in runs:
                    self._finish(run, may_wait=True)

    def settle(self) -> None:
        """Run until all is done, and mend what fails."""
        waited = 0
        while not self.problems:
            self._may_be_refused = self.desk.suspect is not None
            code = self._finish(self._start(), may_wait=True)
            waited += code == WAIT
            if waited > _MOST_RUNS:
                self.problems.append(f"not done after {_MOST_RUNS} runs")
            if code == FAILED:
                self.desk.mend()
            if code == DONE:
                break
        if not self.problems and self._database.execute(oracle.LOST):
            until(lambda: self._database.execute(oracle.IS_DEAD), "the lost run counts as dead")
            self._finish(self._start())

    # Those that end by themselves.

    def _start(self, *arguments: str, **more: str) -> Run:
        """Start a run; it meets what the last one left."""
        run = self._bench.start(self.project, "apply", *arguments, **(_FASTER | more))
        self._all.callback(run.kill)
        self._met_by(lambda: run.has_ended)
        return run

    def _met_by(self, has_stopped: Callable[[], object]) -> None:
        if self._meet:
            self._meet(has_stopped)
            self._meet = None

    def _wait(self, run: Run) -> int:
        code = run.wait(RUN_SECONDS)
        self._tell(f"a run ended with {code}: {run.last_words}")
        self._dead.close()
        return code

    def _finish(self, run: Run, *, may_wait: bool = False) -> int:
        """Wait for the end of a run that nobody kills, and do what it asks a person for."""
        code = self._wait(run)
        self._check(code, run, may_wait=may_wait)
        if code == FAILED and (asked := re.search(r"pgrollout resolve (\d+) (\d+)", run.said)):
            self._resolve(asked[1], int(asked[2]))
        if code == CHANGED and self.desk.suspect:
            self.desk.take_back(*self.desk.suspect)
            self.desk.suspect = None
        if not self.desk.is_suspect():
            self.desk.suspect = None
        return code

    def _check(self, code: int, run: Run, *, may_wait: bool) -> None:
        """Whether the files, and what has been done to them, let expect such an end."""
        match code:
            case 0:
                is_right = True
            case 1:
                is_right = any(re.search(expected, run.said) for expected in self.desk.failures())
            case 4:
                is_right = self._may_be_refused and "changed after it was applied" in run.said
            case 75:
                # A first run must begin within the time that a lease lives, which on a busy machine is little here.
                is_right = may_wait or "idle-session timeout" in run.said
            case _:
                is_right = False
        if not is_right:
            self.problems.append(f"a run ended with {code}: {run.said}")

    def _resolve(self, version: str, statement: int) -> None:
        """Do what a person does who is asked whether a CALL took effect."""
        number = self.desk.number_of(version, statement)
        answer = "done"
        if not self._database.execute("SELECT 1 FROM mark WHERE n = %s AND what = 'second'", number):
            self._database.execute("DELETE FROM mark WHERE n = %s", number)
            answer = "run-again"
        arguments = ["resolve", version, str(statement), "--as", answer, "--reason", "looked"]
        run = self._bench.start(self.project, *arguments, **_FASTER)
        code = run.wait()
        self._tell(f"resolved as {answer}: {code} {run.last_words}")
        if code != DONE:
            self.problems.append(f"resolve ended with {code}: {run.said}")

    def _tamper(self, which: int) -> None:
        tampered = self.desk.tamper(which)
        if tampered is None:
            return self._tell("nothing has run")
        run = self._start()
        code = self._wait(run)
        if code != CHANGED or tampered[0].name not in run.said:
            self.problems.append(f"statements that ran were edited, and the run ended with {code}: {run.said}")
        return self.desk.take_back(*tampered)

    def _run_beside_application(self, arguments: list[str]) -> None:
        with self._database.connect(autocommit=False) as application:
            application.execute(_USES)
            pid = application.info.backend_pid
            run = self._start(*arguments, **_IMPATIENT)
            # What runs online waits for as long as it takes, the rest gives up.
            until(lambda: run.has_ended or self._database.execute(_ONLINE_WAITS, pid), "a run that waits, or gives up")
        self._finish(run, may_wait=True)

    # Those that die.

    def _behind_proxy(self, at: Boundary) -> tuple[Proxy, Trap, Run]:
        """Start a run, and wait until it is at its boundary, or has ended."""
        server, name = self._database.server, self._database.name
        trap = Trap(at.side, at.label, at.number, Moment.ANSWERED if at.phase is Phase.ANSWERED else Moment.ARRIVED)
        folder = self._all.enter_context(tempfile.TemporaryDirectory(prefix="pgr-proxy-", dir="/tmp"))
        proxy = Proxy(Path(folder), server, self._does, trap)
        self._all.callback(proxy.close)
        run = self._bench.start(self.project, "apply", url=server.url(name, host=folder), **_FASTER)
        self._all.callback(run.kill)
        self._met_by(lambda: run.has_ended or trap.caught.is_set())
        until(lambda: trap.caught.is_set() or run.has_ended, "the boundary")
        self._tell(f"{proxy.run} is at its boundary" if trap.caught.is_set() else "the run did not come so far")
        return proxy, trap, run

    def _does(self, side: Side, text: str) -> str:
        if len(text) > _LONG:
            return WRITES  # to read it would take longer than the server waits for what comes next
        label = label_of(side, text, self.desk.statements)
        return READS if label in _ONLY_READS else ALONE if label == ALONE else WRITES

    def _die(self, step: Die) -> None:
        proxy, trap, run = self._behind_proxy(step.at)
        if not trap.caught.is_set():
            self._finish(run)
            return
        rival = self._rival(proxy) if step.has_rival else None
        self._let_go_on(step.at, proxy, trap)
        self._strike(step.way, proxy, trap, run)
        self._check_struck(run)
        self._dead.callback(proxy.close)
        if rival:
            self._met_by(lambda: rival.has_ended)
            self._finish(rival, may_wait=step.way is Way.CRASH)

    def _check_struck(self, run: Run) -> None:
        code = run.wait()
        self._tell(f"it ended with {code}: {run.last_words}")
        self._check(WAIT if code == -signal.SIGKILL else code, run, may_wait=True)

    def _rival(self, proxy: Proxy) -> Run:
        run = self._start()
        until(
            lambda: run.has_ended or self._database.execute(_ANOTHER_RUN, f"pgrollout/{proxy.run}/%"),
            "another run",
        )
        return run

    def _let_go_on(self, at: Boundary, proxy: Proxy, trap: Trap) -> None:
        """Let the server have the message, if it is to be struck while at it; or be held at it until the next run comes."""
        assert trap.message is not None
        if at.phase is Phase.ORPHANED and trap.message.label == ALONE:
            self._hold(proxy, trap)
        elif at.phase in (Phase.DURING, Phase.ORPHANED):
            trap.release()

    def _hold(self, proxy: Proxy, trap: Trap) -> None:
        assert trap.message is not None
        assert trap.link is not None
        message, pid = trap.message, trap.link.backend_pid
        holder = self._database.connect(autocommit=False)
        self._all.callback(holder.close)
        holder.execute(_HOLDS)
        trap.release()
        until(
            lambda: message.is_answered or self._database.execute(_BLOCKED, holder.info.backend_pid, pid),
            "a backend that is held, or goes on",
        )
        self._tell("the server goes on" if message.is_answered else "the server is held")
        token = oracle.token(self._database)

        def meet(has_stopped: Callable[[], object]) -> None:
            def has_met() -> object:
                return (
                    has_stopped()
                    or is_gone(self._database, pid)
                    or oracle.token(self._database) != token
                    or oracle.waits_for_lock(self._database, proxy.run)
                )

            until(has_met, "the next run meeting the orphan")
            holder.close()

        self._meet = meet

    def _strike(self, way: Way, proxy: Proxy, trap: Trap, run: Run) -> None:
        match way:
            case Way.KILL:
                run.kill()
                trap.drop()
            case Way.CUT | Way.HALF_OPEN:
                proxy.cut(keep_server=way is Way.HALF_OPEN)
                trap.drop()
            case Way.TERMINATE:
                assert trap.link is not None
                self._database.execute("SELECT pg_terminate_backend(%s)", trap.link.backend_pid)
                trap.release()
            case Way.CRASH:
                self._database.server.stop(signal.SIGQUIT)
                trap.drop()
                self._database.server.start()
            case Way.TERM:
                run.child.send_signal(signal.SIGTERM)
                trap.release()
            case Way.FREEZE:
                raise ValueError(way)

    def _freeze(self, step: Freeze) -> None:
        proxy, trap, run = self._behind_proxy(step.at)
        if not trap.caught.is_set():
            self._finish(run)
            return
        if not step.is_only_slow:
            run.child.send_signal(signal.SIGSTOP)
        token = oracle.token(self._database)
        self._let_go_on(step.at, proxy, trap)
        other = self._start(**(_HASTY if step.is_only_slow else {}))
        if step.wakes_early:
            until(lambda: other.has_ended or oracle.token(self._database) != token, "a takeover")
            self._wake(trap, run)
            self._finish(other, may_wait=True)
            return
        self._finish(other, may_wait=step.is_only_slow)
        has_begun = any(each.is_answered and each.label != READS for each in proxy.messages)
        is_taken_over = has_begun and oracle.token(self._database) != token
        if not is_taken_over and not self.desk.is_all_done():
            self._wake(trap, run)  # it may as well do what is left
            return
        before = self._look(with_ledger=is_taken_over)
        self._wake(trap, run)
        after = self._look(with_ledger=is_taken_over)
        if before != after:
            self.problems.append("the run that came too late changed something: " + oracle.changes(before, after))

    def _look(self, *, with_ledger: bool) -> str:
        """Return what is in the database; a run that nobody took over from may still take the lease, or record its end."""
        if with_ledger:
            return oracle.everything(self._database)
        picture = oracle.picture(self._database)
        return f"{picture.schema}\n{picture.data}\n{picture.history}"

    def _wake(self, trap: Trap, run: Run) -> None:
        run.child.send_signal(signal.SIGCONT)
        trap.release()
        self._check_struck(run)

    def _tell(self, what: str) -> None:
        shown = re.sub(r"(.)\1{100,}", r"\1…", what)
        self.story.append(f"{time.monotonic() - self._started:.2f} s  {shown}")
