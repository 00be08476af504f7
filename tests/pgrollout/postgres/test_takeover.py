"""Takeover: which backends are those of runs that died."""

from pgrollout.postgres import takeover
from tests.project import eventually
from tests.servers import Database


def test_first_run_is_silent_when_its_supervisor_is(any_database: Database) -> None:
    """Without a lease the supervising connection's queries are the signs of life, whatever the executing one is at."""
    with (
        any_database.connect(application_name="pgrollout/r1/0") as executing,
        any_database.connect(application_name="pgrollout/r1/watch") as watch,
        any_database.connect(application_name="pgrollout/r2/watch") as other,
    ):
        executing.execute("BEGIN")
        backend = (executing.info.backend_pid, "pgrollout/r1/0")

        def found(timeout_ms: int) -> list[tuple[int, str]]:
            return [(each.pid, each.application_name) for each in takeover.silent(other, timeout_ms)]

        assert found(60_000) == []
        assert eventually(lambda: found(50), "silence") == [backend]
        watch.execute("SELECT 1")
        assert found(10_000) == []
        takeover.terminate(other, takeover.silent(other, 0))
        eventually(lambda: found(0) == [], "the end of the silent backend")
        executing.close()
