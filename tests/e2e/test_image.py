"""The image as a cluster runs it: pod security ``restricted``, a read-only disk, a database that asks for TLS."""

import json

from pgrollout import settings
from pgrollout.stages.reviewed import read_reviewed
from tests.e2e.cluster import ROOT, Json, Namespace, restricted, wait_until
from tests.e2e.images import Images
from tests.e2e.servers import CREDENTIALS, Postgres, PrefectServer

STATE: dict[str, Json] = {"/app/.pgrollout": {"emptyDir": {}}, "/backups": {"emptyDir": {}}}
WHAT_IS_IN_IT = """
import importlib.util, json, os, shutil, sys, tempfile
from pathlib import Path

packages = Path(sys.prefix, "lib").glob("python3*/site-packages")
modules = [path for folder in packages for path in folder.glob("[a-z]*/**/*.py")]
json.dump({
    "uid": os.getuid(),
    "writable": [folder for folder in ("/", "/app", "/opt/pgrollout", "/scripts", "/usr", "/tmp", "/backups", "/app/.pgrollout")
                 if os.access(folder, os.W_OK)],
    "tools": [name for name in ("cc", "gcc", "g++", "ld", "make", "pip", "pip3", "git") if shutil.which(name)],
    "pip": importlib.util.find_spec("pip") is not None,
    "clients": [name for name in ("pg_dump", "pg_restore", "psql") if shutil.which(name)],
    "without bytecode": [str(path) for path in modules
                         if "__pycache__" not in path.parts and not Path(importlib.util.cache_from_source(path)).exists()],
}, sys.stdout)
"""


def migrate(image: str, name: str, *command: str, secret: str = CREDENTIALS, **environment: str) -> Json:
    """Return a pod that runs /scripts/migrate.sh with the namespace's Secret."""
    mounts = Postgres.ca_mount() | STATE
    argv = ["/scripts/migrate.sh", *command]
    return restricted(name, image, argv, secret=secret, mounts=mounts, environment=environment)


def test_nobody_runs_it_on_a_read_only_disk(namespace: Namespace, images: Images) -> None:
    """An account without rights, nothing to write but the mounts, nothing to build with, all bytecode there."""
    pod = restricted("inside", images.tool(), ["python3", "-c", WHAT_IS_IN_IT], mounts=STATE)

    ended = namespace.run_pod(pod)

    assert ended.code == 0, ended.log
    found = json.loads(ended.log)
    assert found["uid"] == 65532
    assert found["writable"] == ["/tmp", "/backups", "/app/.pgrollout"]  # noqa: S108  in the pod
    assert found["tools"] == []
    assert found["pip"] is False
    assert found["clients"] == ["pg_dump", "pg_restore", "psql"]
    assert found["without bytecode"] == []


def test_labels_say_what_it_is(images: Images) -> None:
    """Title, licence and version are labels of the image."""
    labels = images.labels(images.tool())

    assert labels["org.opencontainers.image.title"] == "pgrollout"
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
    assert labels["org.opencontainers.image.version"]


def test_first_release_and_the_next(namespace: Namespace, postgres: Postgres, images: Images) -> None:
    """
    status, validate and apply do what their names say, over TLS that is verified; a second apply finds nothing to do.

    What runs is the release that the repository has, whether the Secret has a URL or libpq's variables.
    """
    image, digest = images.example(), read_reviewed(settings.load("reader", environ={}, start=ROOT)).release.digest
    backups = {"PGROLLOUT_BACKUP_DIR": "/backups"}
    by_parts = f"{CREDENTIALS}-pg"

    before = namespace.run_pod(migrate(image, "status", "status", "--format", "json"))
    checked = namespace.run_pod(migrate(image, "validate", "validate", secret=by_parts))
    first = namespace.run_pod(migrate(image, "first", "apply", PGROLLOUT_RELEASE=digest, **backups))
    second = namespace.run_pod(migrate(image, "second", "apply", secret=by_parts, PGROLLOUT_RELEASE=digest, **backups))

    assert before.code == 0, before.log
    assert f'"release": "{digest}"' in before.log
    assert '"status": "PENDING"' in before.log
    assert checked.code == 0, checked.log
    assert "replayed on the shadow" in checked.log
    assert first.code == 0, first.log
    assert "migrations applied (current version: " in first.log
    assert second.code == 0, second.log
    assert "Nothing to do: no migration is pending" in second.log
    ledger = "SELECT b.size_bytes > 0, b.place ~ '^/backups/', r.outcome FROM pgrollout.backup b, pgrollout.run r"
    assert postgres.execute(ledger) == [(True, True, "done")]
    assert postgres.execute(
        "SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL"
    ) == [(True,)]


def test_another_release_is_refused(namespace: Namespace, images: Images) -> None:
    """An image whose files are not what was reviewed does nothing, and says which release it has."""
    ended = namespace.run_pod(migrate(images.example(), "other", "apply", PGROLLOUT_RELEASE=f"sha256:{'0' * 64}"))

    assert ended.code == 3, ended.log


def test_sigterm_ends_process_one(namespace: Namespace, postgres: Postgres, images: Images) -> None:
    """What a deleted pod gets ends a run that waits, though it is process 1, with the exit code for "again later"."""
    postgres.make_database("stopped", "stopped", "none")
    url = postgres.url("stopped", "stopped", "none")
    with postgres.connect("stopped") as connection:
        connection.execute("SELECT pg_advisory_lock(2686470616)")  # Atlas's run lock
        pod = namespace.start(migrate(images.example(), "stopped", "apply", DATABASE_URL=url, PGROLLOUT_BACKUP="none"))
        wait_until(lambda: "waiting for another run" in namespace.log(pod), "the run waits for the lock")
        namespace.execute(pod, "sh", "-c", "kill -TERM 1")

        ended = namespace.ended(pod)

    assert ended.code == 75, ended.log


def test_prefect_server_runs_from_it(prefect_server: PrefectServer, namespace: Namespace, images: Images) -> None:
    """The same image is Prefect's server, on PostgreSQL over TLS, and its client; who has no login is refused."""
    client = ["prefect", "work-pool", "create", "migrations", "--type=process"]
    environment = {"PREFECT_API_URL": prefect_server.api_url}
    login = {"PREFECT_API_AUTH_STRING": prefect_server.auth}

    refused = namespace.run_pod(restricted("stranger", images.tool(), client, environment=environment))
    made = namespace.run_pod(restricted("friend", images.tool(), client, environment=environment | login))

    assert refused.code == 1, refused.log
    assert made.code == 0, made.log
    assert "migrations" in made.log
