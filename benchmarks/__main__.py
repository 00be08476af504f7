"""``python -m benchmarks``: see the README beside this file."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import measure, schemas, synthetic
from benchmarks.distance import Distance, far_away
from benchmarks.measure import HEADER, Run, in_turn
from pgrollout import atlas_splitter, parser, splitter
from pgrollout.content import read_content
from pgrollout.lint import lint
from pgrollout.postgres import embedded
from pgrollout.sum_file import sum_of

PGROLLOUT = str(Path(sys.executable).with_name("pgrollout"))


FAR_MS = 5
"""Round trip to a server in another zone."""
DATABASE = "pgrollout_bench"


class Bench:
    """A server that may be filled, and a folder for files."""

    def __init__(self, url: Callable[[str], str], psql: str, folder: Path, times: int) -> None:
        self._url, self._psql, self._folder, self.times = url, psql, folder, times
        self._directories: dict[int, tuple[Path, Path]] = {}

    def files(self, count: int) -> tuple[Path, Path]:
        """Return the directory of that many migrations, and the same as a script for psql."""
        if count not in self._directories:
            folder = self._folder / str(count)
            self._directories[count] = (
                synthetic.write_directory(count, folder / "migrations"),
                synthetic.write_psql(count, folder / "psql.sql"),
            )
        return self._directories[count]

    def empty(self) -> str:
        """Make an empty database, and return its URL."""
        name = sql.Identifier(DATABASE)
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
        return self._url(DATABASE)

    def psql(self, *arguments: str, url: str) -> Run:
        """Run psql."""
        return measure.run([self._psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments, url])

    def ours(self, command: str, count: int, url: str) -> Run:
        """Run a command of ours on the directory of that many migrations."""
        return measure.run([PGROLLOUT, command, "--dir", str(self.files(count)[0]), "--url", url])

    def apply(self) -> None:
        """1,000 migrations on an empty database, against psql with one transaction a file."""
        script = str(self.files(1000)[1])
        pairs = in_turn(
            lambda: self.psql("-f", script, url=self.empty()),
            lambda: self.ours("apply", 1000, self.empty()),
            self.times,
        )
        print(f"\n### 1,000 migrations on an empty database; baseline: psql, one transaction a file\n\n{HEADER}")
        print(pairs.row("`pgrollout apply`"))

    def distance(self) -> None:
        """The same over a network: the time of psql is the time of its round trips."""
        script = str(self.files(1000)[1])
        print(f"\n### The same with a network between; baseline: psql over the same\n\n{HEADER}")
        for delay_ms in (1, FAR_MS):
            with self.far(delay_ms) as (distance, url):
                psql, ours = partial(self._psql_there, script, url), partial(self._apply_there, 1000, url)
                pairs = in_turn(psql, ours, min(self.times, 3))
                before = distance.turns
                ours()
                turns = distance.turns - before
            print(pairs.row(f"`pgrollout apply`, {delay_ms} ms, {turns:,} round trips"), flush=True)

    def _psql_there(self, script: str, empty: Callable[[], str]) -> Run:
        return self.psql("-f", script, url=empty())

    def _apply_there(self, count: int, empty: Callable[[], str]) -> Run:
        return self.ours("apply", count, empty())

    @contextmanager
    def far(self, delay_ms: float) -> Iterator[tuple[Distance, Callable[[], str]]]:
        """Put the server farther away while the block lasts; give what makes an empty database there, and returns its URL."""
        named = psycopg.conninfo.conninfo_to_dict(self._url("postgres"))
        path = f"{named['host']}/.s.PGSQL.{named.get('port', 5432)}"
        with far_away(path, delay_ms) as distance:

            def empty() -> str:
                self.empty()
                return f"postgresql://{named['user']}@127.0.0.1:{distance.port}/{DATABASE}?sslmode=disable"

            yield distance, empty

    def noop(self) -> None:
        """Nothing pending with 1,000 applied, and the status, against psql."""
        url = self.empty()
        self.ours("apply", 1000, url)
        print(f"\n### Nothing pending, 1,000 applied; baseline: `psql -c 'select 1'`\n\n{HEADER}")
        for command in ("apply", "status"):
            ours = partial(self.ours, command, 1000, url)
            pairs = in_turn(partial(self.psql, "-c", "select 1", url=url), ours, self.times)
            print(pairs.row(f"`pgrollout {command}`"))

    def together(self) -> None:
        """Ten runs of 100 migrations started at once, until the last is done, next to one run alone."""
        print(f"\n### Ten runs at once, 100 migrations, until the last is done; baseline: one run\n\n{HEADER}")

        def ten() -> Run:
            url, started = self.empty(), time.perf_counter()
            with ThreadPoolExecutor(10) as pool:
                runs = list(pool.map(lambda _: self.ours("apply", 100, url), range(10)))
            each = [(run.cpu_s, run.peak_mib) for run in runs]
            return Run(time.perf_counter() - started, sum(cpu for cpu, _ in each), max(peak for _, peak in each))

        print(in_turn(lambda: self.ours("apply", 100, self.empty()), ten, self.times).row("ten at once"))

    def big(self) -> None:
        """One file of 100 MB, a million INSERTs, next to psql in one transaction."""
        script, folder = synthetic.write_big(100_000_000, self._folder / "big")
        print(f"\n### One file of 100 MB, a million INSERTs; baseline: psql in one transaction\n\n{HEADER}")
        pairs = in_turn(
            lambda: self.psql("-1", "-f", str(script), url=self.empty()),
            lambda: measure.run([PGROLLOUT, "apply", "--dir", str(folder), "--url", self.empty()]),
            min(self.times, 2),
        )
        print(pairs.row("`pgrollout apply`"))

    def growth(self) -> None:
        """Time for each file at 100, 1,000 and 10,000 files, next to psql's on the same."""
        print(
            "\n### Growth\n\n| files | ms a file | psql, ms a file | CPU ms a file | peak MiB |\n|---|---|---|---|---|"
        )
        for count in (100, 1000, 10_000):
            script = str(self.files(count)[1])
            base = self.psql("-f", script, url=self.empty())
            ours = self.ours("apply", count, self.empty())
            each = [f"{seconds / count * 1000:.2f}" for seconds in (ours.wall_s, base.wall_s, ours.cpu_s)]
            print(f"| {count} | " + " | ".join(each) + f" | {ours.peak_mib:.0f} |", flush=True)

    def schema(self) -> None:
        """Reading a schema as a value at 500 and 5,000 tables, near and 5 ms away, next to pg_dump."""
        print(f"\n### Reading a schema; baseline: `pg_dump --schema-only`\n\n{HEADER}")
        facts = []
        for count in (500, 5000):
            url = self.empty()
            self.fill(url, count)
            ours = [sys.executable, "-m", "benchmarks.read_schema", url]
            dump = [
                str(Path(self._psql).with_name("pg_dump")) if "/" in self._psql else "pg_dump",
                "--schema-only",
                url,
            ]
            pairs = in_turn(partial(measure.run, dump), partial(measure.run, ours), self.times)
            print(pairs.row(f"{count:,} tables"), flush=True)
            found = json.loads(subprocess.run([*ours, "--all"], check=True, capture_output=True).stdout)
            facts.append(
                f"| {count:,} | {found['objects']:,} | {found['queries']} | {found['stored_bytes'] / 1000:.0f} |"
            )
            socket = psycopg.conninfo.conninfo_to_dict(url)
            with far_away(f"{socket['host']}/.s.PGSQL.{socket.get('port', 5432)}", FAR_MS) as distance:
                near = f"postgresql://{socket['user']}@127.0.0.1:{distance.port}/{socket['dbname']}?sslmode=disable"
                far = measure.run([sys.executable, "-m", "benchmarks.read_schema", near])
            facts[-1] += f" {distance.turns} | {far.wall_s:.2f} |"
        print(
            f"\n| tables | objects | queries | stored kB | round trips | s at {FAR_MS} ms |\n|---|---|---|---|---|---|"
        )
        print("\n".join(facts))

    def fill(self, url: str, count: int) -> None:
        """Make that many tables."""
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("SET synchronous_commit = off")
            for text in schemas.statements(count):
                connection.execute(text.encode())
            connection.execute("ANALYZE")

    def startup(self) -> None:
        """The commands that do nothing, against a bare interpreter."""
        print(f"\n### Start-up; baseline: `python -c pass`\n\n{HEADER}")
        for flag in ("--version", "--help"):
            bare, ours = [sys.executable, "-c", "pass"], [PGROLLOUT, flag]
            pairs = in_turn(partial(measure.run, bare), partial(measure.run, ours), self.times * 2)
            print(pairs.row(f"`pgrollout {flag}`"))

    def values(self) -> None:
        """Hash, split, parse and lint 1,000 files and one of 5 MB, in this process."""
        made = synthetic.migrations(1000)
        texts = [migration.content.decode() for migration in made]
        line = "INSERT INTO item (id, name) VALUES (1, 'one; two, a name that is long enough to matter');\n"
        big = line * (5_000_000 // len(line))
        contents = [read_content(migration) for migration in made]
        parser.statement_count("SELECT 1")
        steps: list[tuple[str, Callable[[], Any]]] = [
            ("hash, 1,000 files", lambda: sum_of(made)),
            ("split by the server's rules, 1,000 files", lambda: [splitter.split(text) for text in texts]),
            ("split by Atlas's rules, 1,000 files", lambda: [atlas_splitter.split(text) for text in texts]),
            ("read and check, 1,000 files", lambda: [read_content(migration) for migration in made]),
            ("parse and lint, 1,000 files", lambda: lint(contents)),
            ("split by the server's rules, 5 MB", lambda: splitter.split(big)),
            ("split by Atlas's rules, 5 MB", lambda: atlas_splitter.split(big)),
        ]
        print("\n### Values, in one process\n\n| | ms | peak MiB of its objects |\n|---|---|---|")
        for name, step in steps:
            started = time.perf_counter()
            step()
            elapsed = time.perf_counter() - started
            tracemalloc.start()
            step()
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            print(f"| {name} | {elapsed * 1000:.0f} | {peak / 2**20:.1f} |", flush=True)


@contextmanager
def bench(url: str | None, times: int) -> Iterator[Bench]:
    """Give a server: the one named, else a throw-away one from the wheel."""
    with tempfile.TemporaryDirectory(prefix="pgrollout-bench-") as folder:
        if url is not None:
            base, _, _ = url.rpartition("/")
            yield Bench(lambda name: f"{base}/{name}", "psql", Path(folder), times)
            return
        try:
            with embedded.server(Path(folder)) as server:
                yield Bench(server.url, str(server.bin / "psql"), Path(folder), times)
        finally:
            # Root's data are elsewhere; nobody needs them any more.
            location = Path(folder) / ".pgrollout" / "postgres" / "root" / "location"
            if location.exists():
                shutil.rmtree(location.read_text().strip(), ignore_errors=True)


def main() -> None:
    """Run the benchmarks that are named, or all."""
    names = ["apply", "distance", "noop", "together", "big", "growth", "schema", "startup", "values"]
    arguments = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    arguments.add_argument("name", nargs="*", choices=[*names, []], help="which; all by default")
    arguments.add_argument("--url", help="URL of a server that may be filled, ending in /DATABASE")
    arguments.add_argument("--times", type=int, default=5, help="pairs of runs for each figure")
    chosen = arguments.parse_args()
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with bench(chosen.url, chosen.times) as made:
        for name in chosen.name or names:
            getattr(made, name)()


if __name__ == "__main__":
    main()
