"""Stories: what a team lives through with the chart in prefect mode, each from its beginning to its good end."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import Failed, Namespace, restricted, wait_until
from tests.e2e.images import Images
from tests.e2e.servers import Postgres, PrefectServer
from tests.e2e.shop import GATED, Shop, labels, until_log

STAGES = ["apply", "backup", "build", "hash", "validate", "verify"]


@pytest.fixture(scope="module")
def shop(
    namespace: Namespace,
    postgres: Postgres,
    prefect_server: PrefectServer,
    images: Images,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """The shop, its first release installed."""
    shop = Shop(namespace, postgres, prefect_server, images, tmp_path_factory.mktemp("shop") / "migrations")
    shop.write("CREATE TABLE goods (id int PRIMARY KEY, name text);\nINSERT INTO goods VALUES (1);\n")
    shop.start_receiver()
    shop.helm()
    yield shop
    namespace.run("helm", "uninstall", shop.release, "--wait=false")


def test_the_first_install_migrates(shop: Shop) -> None:
    """The hook waited for runner and registration; each stage was a Job, and the run page has log and report."""
    (run,) = shop.runs()
    jobs = shop.namespace.items("job", component="migration", pgrollout_database="shop")
    artifacts = shop.api("POST", "/artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [run["id"]]}}})

    assert shop.applied() == ["0001"]
    assert (run["name"], run["state"]["type"]) == ("migrate-shop", "COMPLETED")
    assert sorted(labels(job)["pgrollout/stage"] for job in jobs) == STAGES
    assert len({labels(job)["pgrollout/run"] for job in jobs}) == 1
    assert {each["key"] for each in artifacts} == {"run-report-shop", "plan-shop"}
    assert "migration applied version=0001" in shop.log(run["id"])


def test_ci_submits_a_run_and_follows_it(shop: Shop) -> None:
    """The link first, the log as it is written, the exit code; the same commit again attaches to the same run."""
    shop.write("ALTER TABLE goods ADD COLUMN note text;\n")

    code, said = shop.submit("--commit", "4f2c1ab").wait()
    again = shop.submit("--commit", "4f2c1ab")

    assert code == 0, said
    assert said.startswith("http://prefect.example.com/runs/flow-run/")
    assert "migration applied version=0002" in said
    assert (again.run, again.wait()[0]) == (shop.runs()[0]["id"], 0)
    assert shop.applied()[-1] == "0002"


def test_a_failing_migration_stops_the_release(shop: Shop) -> None:
    """The hook fails with the error, release and database stay as they were, one alert tells; without it all goes out."""
    shop.postgres.execute("INSERT INTO goods VALUES (99)")  # what no shadow can know
    (bad,) = shop.write("ALTER TABLE goods ADD COLUMN price int;\nUPDATE goods SET price = 1 / (99 - id);\n")
    before, history = shop.namespace.get("deployment", "shop-pgrollout-runner")["spec"], shop.applied()

    with pytest.raises(Failed, match="failed"):
        shop.helm(runner={"jobTtlSeconds": 7200})

    run = shop.runs()[0]
    assert run["state"]["type"] == "FAILED"
    assert "division by zero" in run["state"]["message"]
    assert run["state"]["message"].endswith("Exit code 1.")
    assert "division by zero" in shop.namespace.run("kubectl", "logs", "job/shop-pgrollout-migrate")
    assert shop.namespace.get("deployment", "shop-pgrollout-runner")["spec"] == before
    assert shop.applied() == history
    (alert,) = wait_until(shop.alerts, "the alert")
    for part in ("database shop", "stage apply", "division by zero", run["id"]):
        assert part in alert

    shop.remove(bad)
    shop.helm()
    assert shop.alerts() == [alert]


def test_a_pod_that_is_killed_in_mid_apply_is_made_good(shop: Shop) -> None:
    """The run completes by itself, and the statement took effect once."""
    (version,) = shop.write(GATED.replace(" a ", " killed "))
    with shop.gate_closed():
        submitted = shop.submit()
        shop.at_the_gate()
        pod = shop.stage_pod()
        shop.namespace.kill(pod)
        shop.stage_pod(after=pod)

    code, said = submitted.wait()
    assert code == 0, said
    assert version in shop.applied()
    assert shop.postgres.execute("SELECT count(*) FROM killed") == [(1,)]


def test_an_online_build_outlives_its_pod(shop: Shop) -> None:
    """The pod is killed in mid-build; the server goes on, the next try takes the build over, and the run completes."""
    shop.write("CREATE INDEX CONCURRENTLY goods_name ON goods (name);\n")
    with shop.connected() as holder:
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
        submitted = shop.submit()
        builds = wait_until(lambda: shop.postgres.execute("SELECT pid FROM pg_stat_progress_create_index"), "a build")
        pod = shop.stage_pod()
        shop.namespace.kill(pod)
        until_log(shop, shop.stage_pod(after=pod), "online build adopted")
        assert shop.postgres.execute("SELECT pid FROM pg_stat_progress_create_index") == builds
        holder.execute("ROLLBACK")

    code, said = submitted.wait()
    assert code == 0, said
    assert shop.postgres.execute("SELECT indisvalid FROM pg_index WHERE indexrelid = 'goods_name'::regclass") == [
        (True,)
    ]


def test_a_run_that_is_cancelled_stops_at_a_safe_point(shop: Shop) -> None:
    """Cancelled in the browser: the pod gets SIGTERM, its file is undone, submit says 75; the next run applies it."""
    (version,) = shop.write(GATED.replace(" a ", " cancelled "))
    with shop.gate_closed():
        submitted = shop.submit()
        shop.at_the_gate()
        state = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
        shop.api("POST", f"/flow_runs/{submitted.run}/set_state", state)
        code, said = submitted.wait()

    assert code == 75, said
    assert shop.api("GET", f"/flow_runs/{submitted.run}")["state"]["type"] == "CANCELLED"
    assert version not in shop.applied()
    wait_until(lambda: not [p for p in running(shop) if "apply" in p], "no pod of apply is left")
    assert shop.submit().wait()[0] == 0
    assert version in shop.applied()


def running(shop: Shop) -> list[str]:
    """Return the names of the stages' pods that run."""
    pods = shop.namespace.items("pod", pgrollout_database="shop")
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]


def test_servers_may_restart(shop: Shop) -> None:
    """Prefect's in mid-apply, then the database itself; submit and the run live through both."""
    (version,) = shop.write(GATED.replace(" a ", " restarted "))
    with shop.gate_closed():
        submitted = shop.submit()
        shop.at_the_gate()
        shop.prefect.restart()
    code, said = submitted.wait()
    assert code == 0, said
    assert version in shop.applied()

    (version,) = shop.write(GATED.replace(" a ", " restarted_again "))
    holder = shop.gate_closed()
    holder.__enter__()
    submitted = shop.submit()
    shop.at_the_gate()
    shop.postgres.restart()  # the gate is open with it: its lock was the connection's
    code, said = submitted.wait()
    assert code == 0, said
    assert version in shop.applied()
    assert shop.postgres.execute("SELECT count(*) FROM restarted_again") == [(1,)]


def test_the_api_server_may_restart(shop: Shop) -> None:
    """Killed in mid-apply: the run follows its Job again once it is back."""
    (version,) = shop.write(GATED.replace(" a ", " api_gone "))
    with shop.gate_closed():
        submitted = shop.submit()
        shop.at_the_gate()
        shop.namespace.cluster.restart_api_server()
    code, said = submitted.wait()

    assert code == 0, said
    assert version in shop.applied()


def test_a_killed_runner_takes_its_run_up_again(shop: Shop) -> None:
    """The Job went on meanwhile: the next runner's process finds and follows it, and the run ends well."""
    (version,) = shop.write(GATED.replace(" a ", " runnerless "))
    with shop.gate_closed():
        submitted = shop.submit()
        shop.at_the_gate()
        pod = shop.stage_pod()
        (runner,) = shop.namespace.items("pod", **{"app.kubernetes.io_component": "runner"})
        shop.namespace.kill(runner["metadata"]["name"])
        wait_until(
            lambda: shop.api("GET", f"/flow_runs/{submitted.run}")["run_count"] == 2, "the run has been started again"
        )
        until_log(shop, runner["metadata"]["name"], "job adopted")
        assert shop.stage_pod() == pod
    code, said = submitted.wait()

    assert code == 0, said
    assert version in shop.applied()


def test_a_rotated_password_is_taken(shop: Shop) -> None:
    """Changed in database and Secret: the next stage's pod has the new one, and nothing was restarted."""
    shop.postgres.execute("ALTER ROLE deploy PASSWORD 'another'")
    code, said = shop.submit().wait()
    assert code == 2, said
    assert "password authentication failed" in said

    patch = {"stringData": {"PGPASSWORD": "another"}}
    shop.namespace.run("kubectl", "patch", "secret", "postgres-secrets-pg", "--patch", json.dumps(patch))
    assert shop.submit().wait()[0] == 0


def test_a_node_is_drained(shop: Shop) -> None:
    """What runs there is evicted: the stage goes on in another pod once there is a node again."""
    (node,) = [each["metadata"]["name"] for each in shop.namespace.cluster.kubectl("get", "nodes")["items"]][:1]
    (version,) = shop.write(GATED.replace(" a ", " drained "))
    cluster = shop.namespace.cluster
    with shop.gate_closed():
        submitted = shop.submit()
        shop.at_the_gate()
        pod = shop.stage_pod()
        try:
            cluster.run(
                "kubectl", "drain", node, "--pod-selector=pgrollout/stage=apply,pgrollout/database=shop", "--force",
                "--delete-emptydir-data", "--timeout=60s",
            )  # fmt: skip
        finally:
            cluster.run("kubectl", "uncordon", node)
        shop.stage_pod(after=pod)
    code, said = submitted.wait()

    assert code == 0, said
    assert version in shop.applied()


REACH = """
import socket, sys
for target in sys.argv[1:]:
    host, _, port = target.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=4).close()
        print(target, "reached")
    except OSError as error:
        print(target, "not reached")
"""


def test_the_network_lets_a_stage_reach_its_database_only(shop: Shop) -> None:
    """Neither the Kubernetes API nor Prefect's; nothing reaches a stage's pod."""
    database, prefect = f"{shop.postgres.host}:5432", f"prefect.{shop.namespace.name}.svc:4200"
    api = "kubernetes.default.svc:443"
    (job,) = shop.namespace.items("job", pgrollout_stage="apply")[-1:]
    stage = {key: value for key, value in labels(job).items() if not key.startswith("pgrollout/")}

    def reached(name: str, of: dict[str, str]) -> list[str]:
        command = ["python3", "-c", REACH, database, prefect, api]
        ended = shop.namespace.run_pod(restricted(name, shop.images.tool(), command, labels=of))
        return [line.split()[0] for line in ended.log.splitlines() if line.endswith(" reached") and "not" not in line]

    assert reached("as-a-stage", stage) == [database]
    assert reached("as-anybody", {}) == [database, prefect, api]


def test_accounts_may_do_little(shop: Shop) -> None:
    """The runner: Jobs in its own namespace, and no Secrets. The stages' account: nothing."""

    def may(account: str, verb: str, what: str, namespace: str = "") -> bool:
        who = f"--as=system:serviceaccount:{shop.namespace.name}:{account}"
        of = namespace or shop.namespace.name
        try:
            return "yes" in shop.namespace.cluster.run("kubectl", "auth", "can-i", verb, what, who, f"--namespace={of}")
        except Failed:
            return False

    assert may("shop-pgrollout-runner", "create", "jobs")
    for verb, what in (("get", "secrets"), ("create", "pods"), ("create", "pods/exec"), ("update", "jobs")):
        assert not may("shop-pgrollout-runner", verb, what)
    assert not may("shop-pgrollout-runner", "create", "jobs", "default")
    assert not may("shop-pgrollout", "get", "pods")
    assert not may("shop-pgrollout", "list", "secrets")


def test_what_was_granted_is_what_was_used(shop: Shop) -> None:
    """The audit log of the API server has each right of the runner's Role at work, and no request that was refused."""
    folder = shop.namespace.cluster.folder
    log = Path(os.environ.get("DEV_CLUSTER_STATE", "/var/lib/dev-cluster")) / "log" / "audit.log"
    if folder is None:
        pytest.skip("this cluster came from elsewhere: its audit log cannot be read from here")
    account = f"system:serviceaccount:{shop.namespace.name}:shop-pgrollout-runner"
    used, refused = set(), []
    for line in log.read_text().splitlines():
        if account not in line:
            continue
        event = json.loads(line)
        of = event.get("objectRef", {})
        if event["user"]["username"] != account or of.get("namespace") != shop.namespace.name:
            continue
        resource = "/".join(part for part in (of["resource"], of.get("subresource")) if part)
        used.add((resource, event["verb"]))
        if event.get("responseStatus", {}).get("code") == 403:
            refused.append(event["requestURI"])
    role = shop.namespace.get("role", "shop-pgrollout-runner")
    granted = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}

    assert refused == []
    assert used == granted
