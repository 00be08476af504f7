"""The chart: what it makes of values, path by path, and what it refuses."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from pgrollout.settings import flag_keys
from tests.deployments import helm, values_table
from tests.deployments.helm import DATABASE, DIRECT, IMAGE, PREFECT, Json, Objects, Refused, environment, pods, render

CHART = values_table.CHART
SCHEMA = json.loads((CHART / "values.schema.json").read_text("utf-8"))
EVERYTHING = (
    *DIRECT,
    "server.enabled=true",
    "server.persistence.enabled=true",
    "server.database.existingSecret=server-database",
    "prefect.existingSecret=prefect-auth",
    "runner.pool.type=kubernetes",
    "metrics.enabled=true",
    "metrics.serviceMonitor.enabled=true",
    "metrics.prometheusRule.enabled=true",
    "metrics.dashboard.enabled=true",
    "backup.persistence.enabled=true",
    "database.tls.existingSecret=postgres-ca",
    "database.tls.clientCertificate=true",
    "config=[database.reader]",
)
CREDENTIALS = {"DATABASE_URL", "PGHOST", "PGUSER", "PGPASSWORD", "PGSSLKEY"}
CHAIN = "deadlines.helmTimeoutSeconds"


def job(objects: Objects, suffix: str = "migrate") -> Json:
    """Return the one Job whose name has this after the release's."""
    (found,) = (each for (kind, name), each in objects.items() if kind == "Job" and f"-{suffix}" in name)
    return found


def container(pod: Json) -> Json:
    """Return the first container of a pod's template."""
    found: Json = pod["spec"]["containers"][0]
    return found


def hook_of(each: Json) -> str | None:
    """Return Helm's events of an object, in the chart's order."""
    annotations: dict[str, str] = each["metadata"].get("annotations", {})
    return annotations.get("helm.sh/hook")


def seconds(objects: Objects) -> tuple[int, int]:
    """Return how long apply and the hook's Job may take."""
    migrate = job(objects)
    run_ms = environment(container(migrate["spec"]["template"]))["PGROLLOUT_RUN_DEADLINE_MS"]
    return int(run_ms) // 1000, migrate["spec"]["activeDeadlineSeconds"]


# The chart as such


@pytest.mark.parametrize("values", [None, "values-development.yaml", "values-production.yaml"])
def test_chart_is_clean(values: str | None) -> None:
    """Helm finds nothing to say about the chart, alone or with the values for a place."""
    files = [f"--values={CHART / values}"] if values else []

    said = helm.run("lint", "--strict", str(CHART), *files, *(f"--set={each}" for each in DIRECT))

    assert "[WARNING]" not in said
    assert "[ERROR]" not in said


def test_every_value_is_described() -> None:
    """Each value, whatever it is in, has a comment that the README shows."""
    described = {each.path for each in values_table.values()}

    def missing(values: Any, path: str = "") -> list[str]:
        if path in described or not isinstance(values, dict):
            return [] if path in described else [path]
        return [each for key, value in values.items() for each in missing(value, f"{path}.{key}" if path else key)]

    assert missing(yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))) == []


def test_readme_lists_the_values() -> None:
    """The README's table is that of values.yaml; `python -m tests.deployments.values_table` writes it."""
    assert values_table.README.read_text("utf-8") == values_table.readme()


def test_one_kind_in_a_file() -> None:
    """A template is named after the one kind that it makes."""
    for path in (CHART / "templates").glob("*/*.yaml"):
        kinds = [line.split()[1] for line in path.read_text("utf-8").splitlines() if line.startswith("kind: ")]

        assert [kind.lower() for kind in kinds] == [path.stem], path


# The schema


def test_schema_knows_the_values() -> None:
    """Schema and values have the same names, at every depth."""

    def compare(values: Any, schema: Json, path: str) -> None:
        if schema.get("additionalProperties") is False and "properties" in schema:
            assert set(values) == set(schema["properties"]) - {"global"}, path
            for key, value in values.items():
                compare(value, schema["properties"][key], f"{path}.{key}")

    compare(yaml.safe_load((CHART / "values.yaml").read_text("utf-8")), SCHEMA, "")


def test_schema_knows_the_settings() -> None:
    """`settings` takes what pgrollout knows, but for what the chart itself says."""
    ours = {"url", "url_env", "url_file", "service", "shadow_url"}
    elsewhere = {"run_deadline_ms", "wait_for_run_ms", "table_lock_deadline_ms", "backup", "backup_dir"}

    assert set(SCHEMA["$defs"]["settings"]["properties"]) == set(flag_keys()) - ours - elsewhere


@pytest.mark.parametrize(
    "typo",
    [
        "databse.host=x",
        "database.hots=x",
        "database.tls.secret=x",
        "database.sslMode=required",
        "database.port=0",
        "secrets.existingsecret=x",
        "secrets.keys.pasword=x",
        "image.digest=4f2c1ab",
        "image.repository=reader@sha256:00",
        "image.pullPolicy=ifNotPresent",
        "migration.mode=both",
        "migration.command=aply",
        "migration.hook.install=before",
        "migration.hook.upgrade=yes",
        "migration.customImage.enabld=true",
        "migration.resources.limit.cpu=1",
        "prefect.apiUrl=http://prefect:4200",
        "runner.pool.type=docker",
        "runner.serviceAccount.nmae=x",
        "settings.stall_budget=1000",
        "settings.url=postgresql://x",
        "backup.policy=full",
        "backup.persistence.size=10GB",
        "networkPolicy.database.port=5432",
        "metrics.serviceMonitor.interval=60",
        "deadlines.stageMinutes=1",
        "server.persistance.enabled=true",
    ],
)
def test_typos_are_refused(typo: str) -> None:
    """A name or a value that there is not is refused, and named."""
    with pytest.raises(Refused, match=typo.split("=")[0].split(".")[0]):
        render((*DIRECT, typo))


# What is refused with a way out


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (DATABASE, r"image\.repository is empty"),
        ((*DATABASE, IMAGE[0]), r"image\.tag is empty.*image\.digest"),
        ((*DATABASE, IMAGE[0], "image.tag=latest"), r"latest, which moves"),
        ((*DIRECT, "migration.customImage.enabled=true"), r"migration\.customImage\.repository is empty"),
        ((*IMAGE, *DATABASE[:2]), r"existingSecret is empty: .* namespace shop with PGUSER and PGPASSWORD"),
        (IMAGE, r"existingSecret is empty: .* namespace shop with DATABASE_URL"),
        ((*IMAGE, DATABASE[0], DATABASE[2]), r"database\.name is empty: .*db\.example\.com"),
        ((*IMAGE, DATABASE[2], "secrets.content=parts"), r"database\.host is empty"),
        ((*DIRECT, "database.sslMode=verify-full"), r"verify-full, and database\.tls\.existingSecret is empty"),
        ((*DIRECT, "database.tls.clientCertificate=true"), r"database\.tls\.existingSecret is empty"),
        ((*DIRECT, "backup.policy=dump"), r"backup\.policy is dump, .*backup\.persistence\.enabled=true"),
        ((*DIRECT, "backup.policy=schema"), r"backup\.policy is schema"),
        ((*PREFECT, "migration.command=status"), r"status, which needs migration\.mode=direct"),
        ((*DIRECT, "migration.mode=prefect"), r"prefect\.apiUrl is empty"),
        (
            (*DIRECT, "argocd.enabled=true", "backup.persistence.enabled=true"),
            r"backup\.persistence\.existingClaim is empty: Argo CD",
        ),
    ],
)
def test_what_cannot_work_is_refused(sets: tuple[str, ...], message: str) -> None:
    """What is missing is named before anything is made, with the value to set."""
    with pytest.raises(Refused, match=message):
        render(sets)


def test_public_authority_needs_no_secret() -> None:
    """A certificate of a public authority is checked with what the system trusts."""
    sets = ("database.sslMode=verify-full", "stage.extraEnv[0].name=PGSSLROOTCERT", "stage.extraEnv[0].value=system")

    assert environment(container(job(render((*DIRECT, *sets)))["spec"]["template"]))["PGSSLROOTCERT"] == "system"


# The image


@pytest.mark.parametrize(
    ("sets", "reference"),
    [
        ((), "registry.example.com/reader:4f2c1ab"),
        (("image.tag=1234567",), "registry.example.com/reader:1234567"),
        ((f"image.digest=sha256:{'a' * 64}",), f"registry.example.com/reader@sha256:{'a' * 64}"),
        (
            (
                "migration.customImage.enabled=true",
                "migration.customImage.repository=own",
                "migration.customImage.tag=2",
            ),
            "own:2",
        ),
    ],
)
def test_image(sets: tuple[str, ...], reference: str) -> None:
    """The digest wins over the tag, a team's own image over the other; a tag of digits stays what it is."""
    for sort in (DIRECT, PREFECT):
        for owner, pod in pods(render((*sort, *sets))):
            assert container(pod)["image"] == reference, owner


def test_tag_of_digits_in_a_file(tmp_path: Path) -> None:
    """A tag of digits that a file does not quote is the same tag."""
    (tmp_path / "values.yaml").write_text("image: {tag: 1234567}")

    objects = render((IMAGE[0], *DATABASE), (tmp_path / "values.yaml",))

    assert container(job(objects)["spec"]["template"])["image"] == "registry.example.com/reader:1234567"


# Where the database is


def test_database_from_parts() -> None:
    """Host, port and name come from values, user and password from the Secret."""
    assert {
        "PGHOST": "db.example.com",
        "PGPORT": "5432",
        "PGDATABASE": "reader",
        "PGUSER": {"secretKeyRef": {"name": "postgres-secrets", "key": "PGUSER"}},
        "PGPASSWORD": {"secretKeyRef": {"name": "postgres-secrets", "key": "PGPASSWORD"}},
        "PGSSLMODE": "require",
    }.items() <= environment(container(job(render())["spec"]["template"])).items()


def test_database_from_a_url() -> None:
    """Without a host the Secret has the URL, under a key of any name."""
    found = environment(container(job(render((*IMAGE, DATABASE[2], "secrets.keys.url=uri")))["spec"]["template"]))

    assert found["DATABASE_URL"] == {"secretKeyRef": {"name": "postgres-secrets", "key": "uri"}}
    assert not {"PGHOST", "PGUSER", "PGPASSWORD"} & found.keys()


def test_database_by_certificate() -> None:
    """With a client certificate neither password nor Secret is needed; the key is readable for the pod's group only."""
    sets = ("database.tls.existingSecret=certificates", "database.tls.clientCertificate=true", "database.user=migrator")

    pod = job(render((*IMAGE, *DATABASE[:2], *sets)))["spec"]["template"]

    found = environment(container(pod))
    assert found["PGUSER"] == "migrator"
    assert "PGPASSWORD" not in found
    assert found["PGSSLROOTCERT"] == "/etc/pgrollout/tls/ca.crt"
    assert (found["PGSSLCERT"], found["PGSSLKEY"]) == ("/etc/pgrollout/tls/tls.crt", "/etc/pgrollout/tls/tls.key")
    (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == "database-tls")
    assert volume["secret"]["secretName"] == "certificates"
    assert volume["secret"]["defaultMode"] == 0o440
    assert [each["key"] for each in volume["secret"]["items"]] == ["ca.crt", "tls.crt", "tls.key"]


# The hook in direct mode


def test_direct_hook() -> None:
    """The Job runs the command of the values in the image before install and upgrade, and stays until the next one."""
    migrate = job(render((*DIRECT, "migration.command=validate")))

    assert migrate["metadata"]["name"] == "app-pgrollout-migrate"
    assert migrate["metadata"]["labels"]["component"] == "migration"
    assert migrate["metadata"]["annotations"] == {
        "helm.sh/hook": "pre-install,pre-upgrade",
        "helm.sh/hook-weight": "0",
        "helm.sh/hook-delete-policy": "before-hook-creation",
    }
    pod = migrate["spec"]["template"]
    assert pod["metadata"]["labels"]["component"] == "migration"
    assert container(pod)["command"] == ["/scripts/migrate.sh", "validate"]
    assert container(pod)["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_release_that_was_reviewed() -> None:
    """Both modes hand on the digest of the release; one that is no digest is refused."""
    digest = f"sha256:{'b' * 64}"

    for sort in (DIRECT, PREFECT):
        command = container(job(render((*sort, f"migration.release={digest}")))["spec"]["template"])["command"]
        assert command[command.index("--release") + 1] == digest

    with pytest.raises(Refused, match="release"):
        render((*DIRECT, "migration.release=4f2c1ab"))


def test_direct_hook_is_tried_again_where_waiting_cures() -> None:
    """An evicted pod is replaced, exit code 75 tried again, the others of the contract are final."""
    spec = job(render())["spec"]

    assert spec["backoffLimit"] == 3
    assert spec["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        {
            "action": "FailJob",
            "onExitCodes": {"containerName": "migrate", "operator": "In", "values": [1, 2, 3, 4]},
        },
    ]


@pytest.mark.parametrize(
    ("sets", "events"),
    [
        ((), "pre-install,pre-upgrade"),
        (("migration.hook.install=post",), "post-install,pre-upgrade"),
        (("migration.hook.install=none",), "pre-upgrade"),
        (("migration.hook.upgrade=none",), "pre-install"),
        (("migration.hook.upgrade=post",), "pre-install,post-upgrade"),
        (("prefect.apiUrl=http://p:4200/api",), "post-install,pre-upgrade"),
        (("server.enabled=true",), "post-install,pre-upgrade"),
        (("prefect.apiUrl=http://p:4200/api", "runner.enabled=false"), "pre-install,pre-upgrade"),
        (("prefect.apiUrl=http://p:4200/api", "migration.hook.install=pre"), "pre-install,pre-upgrade"),
    ],
)
def test_hook_events(sets: tuple[str, ...], events: str) -> None:
    """The hook runs when values say, or when the mode can; never on a rollback. The check runs right after it."""
    objects = render((*DIRECT, *sets))

    assert hook_of(job(objects)) == events
    assert hook_of(job(objects, "check")) == events
    assert job(objects, "check")["metadata"]["annotations"]["helm.sh/hook-weight"] == "1"


def test_no_hook_at_all() -> None:
    """With neither install nor upgrade there is no Job."""
    objects = render((*DIRECT, "migration.hook.install=none", "migration.hook.upgrade=none"))

    assert not [name for kind, name in objects if kind == "Job"]


def test_what_the_hook_needs_is_there_before_it() -> None:
    """Before a first install there is nothing of the release: account, policy, configuration and claim come before the Job."""
    objects = render((*DIRECT, "config=[database.reader]", "backup.persistence.enabled=true"))

    needed = [each for (kind, _), each in objects.items() if kind != "Job"]
    assert sorted(each["kind"] for each in needed) == [
        "ConfigMap",
        "NetworkPolicy",
        "PersistentVolumeClaim",
        "ServiceAccount",
    ]
    for each in needed:
        assert hook_of(each) == "pre-install,pre-upgrade", each["kind"]
        assert each["metadata"]["annotations"]["helm.sh/hook-weight"] == "-5", each["kind"]
    assert job(objects)["spec"]["template"]["spec"]["serviceAccountName"] == "app-pgrollout"


def test_hook_objects_may_become_part_of_the_release() -> None:
    """Helm takes them in when the hook runs later, and does not delete them when it runs earlier."""
    annotations = render()["ServiceAccount", "app-pgrollout"]["metadata"]["annotations"]

    assert annotations["helm.sh/resource-policy"] == "keep"
    assert annotations["meta.helm.sh/release-name"] == "app"
    assert annotations["meta.helm.sh/release-namespace"] == "shop"


@pytest.mark.parametrize("sets", [("migration.hook.install=post",), ("migration.hook.enabled=false",)])
def test_later_hooks_use_the_release(sets: tuple[str, ...]) -> None:
    """A Job that runs after the release is made needs no copies."""
    for (kind, name), each in render((*DIRECT, *sets)).items():
        assert kind == "Job" or hook_of(each) is None, name


def test_ordinary_job() -> None:
    """Without a hook the Job's name changes with what it runs, and nothing else changes it."""
    plain = (*DIRECT, "migration.hook.enabled=false")
    names = [
        job(render(sets))["metadata"]["name"]
        for sets in (plain, (*plain, "migration.ttlSecondsAfterFinished=60"), (*plain, "image.tag=5"))
    ]

    assert names[0] == names[1]
    assert names[0] != names[2]
    assert hook_of(job(render(plain))) is None
    assert not [name for kind, name in render(plain) if kind == "Job" and name.endswith("-check")]


def test_argo_direct() -> None:
    """Argo CD migrates in PreSync, and only there."""
    objects = render((*DIRECT, "argocd.enabled=true"))

    assert job(objects)["metadata"]["annotations"] == {
        "argocd.argoproj.io/hook": "PreSync",
        "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
        "argocd.argoproj.io/sync-wave": "-2",
    }
    assert {each["metadata"]["annotations"]["argocd.argoproj.io/hook"] for each in objects.values()} == {"PreSync"}


def test_argo_prefect() -> None:
    """In prefect mode everything that a run needs is in the waves before it, and it before wave 0."""
    objects = render((*DIRECT, "argocd.enabled=true", "server.enabled=true", "backup.persistence.enabled=true"))

    wave = {key: int(each["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]) for key, each in objects.items()}
    assert wave["Deployment", "app-pgrollout-server"] < wave["Deployment", "app-pgrollout-runner"]
    assert wave["Deployment", "app-pgrollout-runner"] < wave["Job", "app-pgrollout-register"]
    assert wave["Job", "app-pgrollout-register"] < wave["Job", "app-pgrollout-migrate"]
    assert wave["Job", "app-pgrollout-migrate"] < wave["Job", "app-pgrollout-check"] == max(wave.values()) == -1
    assert wave["Job", "app-pgrollout-migrate"] == wave["PersistentVolumeClaim", "app-pgrollout-backups"]
    assert not [name for (_, name), each in objects.items() if hook_of(each)]


# Prefect mode


def test_submit_hook() -> None:
    """The Job asks for a run of this release's image, under a key of its own, and has no credentials of the database."""
    sets = (
        "migration.database=reader",
        "prefect.existingSecret=prefect-auth",
        "prefect.uiUrl=https://prefect.example.com",
    )

    migrate = job(render((*PREFECT, *sets)))

    assert migrate["spec"]["backoffLimit"] == 0
    submit = container(migrate["spec"]["template"])
    assert submit["command"][:2] == ["pgrollout", "submit"]
    options = dict(zip(submit["command"][2::2], submit["command"][3::2], strict=True))
    assert options["--database"] == "reader"
    assert options["--commit"] == "$(JOB_UID)"
    assert int(options["--timeout-seconds"]) < migrate["spec"]["activeDeadlineSeconds"]
    found = environment(submit)
    assert found["PGROLLOUT_IMAGE"] == "registry.example.com/reader:4f2c1ab"
    assert found["PREFECT_API_URL"] == "http://prefect.example.com:4200/api"
    assert found["PREFECT_UI_URL"] == "https://prefect.example.com"
    assert found["PREFECT_API_AUTH_STRING"] == {"secretKeyRef": {"name": "prefect-auth", "key": "auth-string"}}
    assert found["JOB_UID"] == {"fieldRef": {"fieldPath": "metadata.labels['batch.kubernetes.io/controller-uid']"}}
    assert not CREDENTIALS & found.keys()


def test_registration_comes_before_a_first_run() -> None:
    """After an install Prefect is told of the deployments before the hook asks for one."""
    objects = render(PREFECT)

    register, migrate = job(objects, "register"), job(objects)
    assert hook_of(register) == "post-install,post-upgrade"
    weights = [int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in (register, migrate)]
    assert weights[0] < weights[1]


def test_registration() -> None:
    """Pool, schedule and alerts come from values; secrets of alerts from a Secret."""
    sets = ("alerts.settings.after_minutes=30", "alerts.existingSecret=alert-urls", "registration.driftCron=5 4 * * *")

    register = container(job(render((*PREFECT, *sets)), "register")["spec"]["template"])

    assert register["command"][:3] == ["python", "-m", "flows.register"]
    assert {
        "PGROLLOUT_WORK_POOL": "migrations",
        "PGROLLOUT_WORK_POOL_TYPE": "process",
        "PGROLLOUT_BASE_JOB_TEMPLATE": "/etc/pgrollout/pool/base-job-template.json",
        "PGROLLOUT_DRIFT_CRON": "5 4 * * *",
        "PGROLLOUT_ALERT_AFTER_MINUTES": "30",
    }.items() <= environment(register).items()
    assert register["envFrom"] == [{"secretRef": {"name": "alert-urls"}}]


def test_runner() -> None:
    """One worker, never two, which is told where Jobs are made, of which images, and for how long."""
    objects = render((*PREFECT, "migration.allowedImages={registry.example.com/other}"))

    runner = objects["Deployment", "app-pgrollout-runner"]
    assert runner["spec"]["replicas"] == 1
    assert runner["spec"]["strategy"] == {"type": "Recreate"}
    worker = container(runner["spec"]["template"])
    assert worker["command"][:3] == ["python", "-m", "flows.runner"]
    assert {"--pool=migrations", "--type=process", "--with-healthcheck", "--install-policy=never"} < set(
        worker["command"]
    )
    found = environment(worker)
    assert found["PGROLLOUT_LAUNCHER"] == "kubernetes"
    assert found["PGROLLOUT_NAMESPACE"] == "shop"
    assert found["PGROLLOUT_RUNNER"] == "shop/app-pgrollout"
    assert found["PGROLLOUT_IMAGES"] == "registry.example.com/reader,registry.example.com/other"
    assert worker["livenessProbe"]["httpGet"] == {"path": "/health", "port": "health"}
    assert worker["lifecycle"]["preStop"]["exec"]["command"][:2] == ["python", "-c"]
    compile(worker["lifecycle"]["preStop"]["exec"]["command"][2], "preStop", "exec")


def test_runner_waits_for_its_runs() -> None:
    """A worker that is replaced has as long as a stage may take."""
    objects = render(PREFECT)

    pod = objects["Deployment", "app-pgrollout-runner"]["spec"]["template"]
    deadline = int(environment(container(pod))["PGROLLOUT_STAGE_DEADLINE_SECONDS"])
    assert pod["spec"]["terminationGracePeriodSeconds"] > deadline


def test_runner_starts_anew_with_another_pod_template() -> None:
    """What a run would make of the release before is gone with the worker of that release."""
    annotations = [
        render(sets)["Deployment", "app-pgrollout-runner"]["spec"]["template"]["metadata"]["annotations"]
        for sets in (PREFECT, (*PREFECT, "stage.podLabels.team=shop"), (*PREFECT, "registration.driftCron=5 4 * * *"))
    ]

    assert annotations[0]["checksum/pod"] != annotations[1]["checksum/pod"]
    assert annotations[0] == annotations[2]


def test_only_pods_that_reach_the_database_have_credentials() -> None:
    """Stages, the check and the metrics have them; worker, runs, registration, submit and server have not."""
    for owner, pod in pods(render(EVERYTHING)):
        for each in pod["spec"]["containers"]:
            has = bool(CREDENTIALS & environment(each).keys())
            assert has == (each["name"] in ("stage", "check", "metrics")), f"{owner}, {each['name']}"


def test_pod_template_of_stages() -> None:
    """The launcher's folder has a pod whose container is called stage; that of backups has the volume."""
    data = render((*PREFECT, "backup.persistence.enabled=true"))["ConfigMap", "app-pgrollout-pod"]["data"]

    assert sorted(data) == ["backup.yaml", "pod.yaml"]
    stage, backup = (yaml.safe_load(data[name]) for name in ("pod.yaml", "backup.yaml"))
    assert container(stage)["name"] == container(backup)["name"] == "stage"
    assert stage["metadata"]["labels"]["app.kubernetes.io/instance"] == "app-pgrollout"
    assert stage["spec"]["serviceAccountName"] == "app-pgrollout"
    assert "command" not in container(stage)
    assert not [each for each in stage["spec"]["volumes"] if "persistentVolumeClaim" in each]
    assert {"name": "backups", "mountPath": "/backups"} in container(backup)["volumeMounts"]
    assert {"name": "backups", "persistentVolumeClaim": {"claimName": "app-pgrollout-backups"}} in backup["spec"][
        "volumes"
    ]


def test_without_backups_one_template_is_enough() -> None:
    """Without persistence there is no template of its own for backups."""
    assert list(render(PREFECT)["ConfigMap", "app-pgrollout-pod"]["data"]) == ["pod.yaml"]


def test_pool_of_processes_starts_in_the_project() -> None:
    """A run finds the configuration and the migrations."""
    template = json.loads(render(PREFECT)["ConfigMap", "app-pgrollout-pool"]["data"]["base-job-template.json"])

    assert template["job_configuration"]["working_dir"] == "/app"


def test_a_run_brings_no_command_of_its_own() -> None:
    """Nor an environment: its process is beside the runner's token."""
    from prefect.utilities.templating import apply_values
    from prefect.workers.process import ProcessJobConfiguration

    objects = render(PREFECT)
    template = json.loads(objects["ConfigMap", "app-pgrollout-pool"]["data"]["base-job-template.json"])

    own = {"env": {"PGROLLOUT_IMAGES": "another"}, "command": "sh", "working_dir": "/tmp"}  # noqa: S108
    made = ProcessJobConfiguration(**apply_values(template["job_configuration"], own))

    assert (made.command, made.env) == (None, {"PREFECT_LOGGING_EXTRA_LOGGERS": "pgrollout"})
    assert str(made.working_dir) == "/app"


def test_pool_of_pods() -> None:
    """A run is a pod with the runner's account and template, and gets the way in by reference."""
    sets = (*PREFECT, "runner.pool.type=kubernetes", "prefect.existingSecret=prefect-auth")
    objects = render(sets)

    worker = container(objects["Deployment", "app-pgrollout-runner"]["spec"]["template"])
    assert {"--pool=migrations-pods", "--type=kubernetes"} < set(worker["command"])
    assert "lifecycle" not in worker
    found = environment(worker)
    assert found["PREFECT_INTEGRATIONS_KUBERNETES_OBSERVER_ENABLED"] == "false"
    assert found["PREFECT_INTEGRATIONS_KUBERNETES_WORKER_API_AUTH_STRING_SECRET_NAME"] == "prefect-auth"
    template = json.loads(objects["ConfigMap", "app-pgrollout-pool"]["data"]["base-job-template.json"])
    assert set(template["variables"]["properties"]) == {"name", "labels"}
    manifest = template["job_configuration"]["job_manifest"]
    assert manifest["metadata"]["namespace"] == template["job_configuration"]["namespace"] == "shop"
    pod = manifest["spec"]["template"]
    assert pod["spec"]["serviceAccountName"] == "app-pgrollout-runner"
    assert container(pod)["args"] == ["prefect", "flow-run", "execute"]
    assert "/etc/pgrollout/pod" in [each["mountPath"] for each in container(pod)["volumeMounts"]]
    assert isinstance(environment(container(pod))["PREFECT_API_AUTH_STRING"], dict)
    assert (
        environment(container(job(objects, "register")["spec"]["template"]))["PGROLLOUT_WORK_POOL_TYPE"] == "kubernetes"
    )


def test_worker_takes_the_template_of_pods() -> None:
    """Prefect's worker makes a Job of it, whose pod keeps the labels that the policy looks for."""
    from prefect.client.schemas.objects import FlowRun
    from prefect.client.schemas.responses import DeploymentResponse
    from prefect.utilities.templating import apply_values
    from prefect_kubernetes.worker import KubernetesWorkerJobConfiguration

    objects = render((*DIRECT, "server.enabled=true", "runner.pool.type=kubernetes"))
    template = json.loads(objects["ConfigMap", "app-pgrollout-pool"]["data"]["base-job-template.json"])
    # A run in a pod of its own is not its worker's: it must not be started again with the next one.
    assert "PGROLLOUT_RUNNER" not in json.dumps(template)
    worker = container(objects["Deployment", "app-pgrollout-runner"]["spec"]["template"])
    assert "PGROLLOUT_RUNNER" not in environment(worker)

    # What whoever starts a run may not choose: else he would have the runner's token, and the database's credentials.
    own = {"env": {"PGROLLOUT_IMAGES": "another"}, "command": "sh"}
    filled_in = apply_values(template["job_configuration"], own)
    made = KubernetesWorkerJobConfiguration(**filled_in)
    deployment = DeploymentResponse(id=uuid4(), flow_id=uuid4(), name="reader", labels={})
    made.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="migrate-reader"), deployment)

    pod = made.job_manifest["spec"]["template"]
    assert container(pod)["args"] == ["prefect", "flow-run", "execute"]
    assert environment(container(pod))["PGROLLOUT_LAUNCHER"] == "kubernetes"
    assert "another" not in json.dumps(pod)
    assert is_selected(pod["metadata"]["labels"], policy(objects, "runner")["podSelector"])
    ((rule,),) = (policy(objects, "server")["ingress"],)
    assert is_selected(pod["metadata"]["labels"], rule["from"][0]["podSelector"])


# Rights and security


def test_rights() -> None:
    """The runner's, in the namespace only, are exactly these; nobody else has any."""
    objects = render(EVERYTHING)

    assert not [kind for kind, _ in objects if kind.startswith("Cluster")]
    (role,) = (each for (kind, _), each in objects.items() if kind == "Role")
    assert role["rules"] == [
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create", "get", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    ]
    (binding,) = (each for (kind, _), each in objects.items() if kind == "RoleBinding")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "app-pgrollout-runner", "namespace": "shop"}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]


def test_rights_may_be_given_by_somebody_else() -> None:
    """Accounts and rights can be there already."""
    sets = ("rbac.create=false", "serviceAccount.create=false", "serviceAccount.name=atlas-migration-sa")
    runner = ("runner.serviceAccount.create=false", "runner.serviceAccount.name=runner-sa")

    objects = render((*PREFECT, *sets, *runner))

    assert not {"ServiceAccount", "Role", "RoleBinding"} & {kind for kind, _ in objects}
    accounts = {owner: pod["spec"]["serviceAccountName"] for owner, pod in pods(objects)}
    assert accounts["Deployment/app-pgrollout-runner"] == "runner-sa"
    assert accounts["app-pgrollout-pod/pod.yaml"] == accounts["Job/app-pgrollout-migrate"] == "atlas-migration-sa"


@pytest.mark.parametrize("sets", [EVERYTHING, (*EVERYTHING, "migration.mode=direct"), PREFECT, DIRECT])
def test_every_pod_is_restricted(sets: tuple[str, ...]) -> None:
    """Every pod passes `restricted`, has requests and limits, writes to bounded folders, and no Service becomes a setting."""
    for owner, pod in pods(render(sets)):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, owner
        assert spec["enableServiceLinks"] is False, owner
        assert {"runAsNonRoot": True, "runAsUser": 65532, "fsGroup": 65532}.items() <= spec[
            "securityContext"
        ].items(), owner
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, owner
        volumes = {each["name"]: each for each in spec["volumes"]}
        assert len(volumes) == len(spec["volumes"]), owner
        for volume in volumes.values():
            assert volume.get("emptyDir", {"sizeLimit": 1})["sizeLimit"], owner
        for each in spec["containers"]:
            assert each["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, owner
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= each["resources"][kind].keys(), owner
            mounted = {mount["mountPath"]: mount["name"] for mount in each["volumeMounts"]}
            assert "/tmp" in mounted, owner  # noqa: S108 (in the container)
            assert set(mounted.values()) <= volumes.keys(), owner


def test_only_the_runner_has_a_token() -> None:
    """The token is mounted into the worker's container and into the runs', and nowhere else."""
    with_token = {
        (owner, each["name"])
        for owner, pod in pods(render(EVERYTHING))
        for each in pod["spec"]["containers"]
        if any("serviceaccount" in mount["mountPath"] for mount in each["volumeMounts"])
    }

    assert with_token == {
        ("Deployment/app-pgrollout-runner", "runner"),
        ("app-pgrollout-pool/base-job-template.json", "prefect-job"),
    }


# The network


def policy(objects: Objects, name: str) -> Json:
    """Return the specification of a NetworkPolicy."""
    found: Json = objects["NetworkPolicy", f"app-pgrollout-{name}"]["spec"]
    return found


def reached(spec: Json) -> list[int]:
    """Return the TCP ports that a policy lets its pods reach, without that of DNS."""
    return [port["port"] for rule in spec["egress"] for port in rule["ports"] if port["port"] != 53]


def is_selected(labels: Json, selector: Json) -> bool:
    """Tell whether a NetworkPolicy selects a pod with these labels."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        labels.get(each["key"]) in each["values"] for each in selector.get("matchExpressions", [])
    )


def test_every_pod_has_one_policy() -> None:
    """Each pod is selected by exactly one policy, and each policy decides both ways."""
    for sets in (DIRECT, EVERYTHING, (*DIRECT, "metrics.enabled=true")):
        objects = render(sets)
        policies = [each["spec"] for (kind, _), each in objects.items() if kind == "NetworkPolicy"]
        for owner, pod in pods(objects):
            selected = [each for each in policies if is_selected(pod["metadata"]["labels"], each["podSelector"])]
            assert len(selected) == 1, owner
            assert selected[0]["policyTypes"] == ["Ingress", "Egress"], owner


def test_what_pods_reach() -> None:
    """Stages reach the database, the runner the two APIs, who only submits the Prefect API; nobody comes in."""
    objects = render(PREFECT)

    assert reached(policy(objects, "migration")) == [5432]
    assert reached(policy(objects, "runner")) == [443, 6443, 4200]
    assert reached(policy(objects, "prefect")) == [4200]
    for name in ("migration", "runner", "prefect"):
        assert "ingress" not in policy(objects, name)
        assert policy(objects, name)["egress"][0]["ports"] == [
            {"protocol": "UDP", "port": 53},
            {"protocol": "TCP", "port": 53},
        ]


def test_what_pods_reach_can_be_narrowed() -> None:
    """Peers and ports are values; of the Prefect API the port is the URL's."""
    sets = (
        "database.port=6432",
        "networkPolicy.database.peers[0].ipBlock.cidr=10.1.0.0/16",
        "networkPolicy.apiServer.peers[0].ipBlock.cidr=10.2.0.1/32",
        "networkPolicy.apiServer.ports={6443}",
        "prefect.apiUrl=https://prefect.example.com/api",
        "networkPolicy.extraEgress[0].ports[0].port=8443",
    )

    objects = render((*DIRECT, *sets))

    assert reached(policy(objects, "migration")) == [6432, 8443]
    assert policy(objects, "migration")["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.1.0.0/16"}}]
    assert reached(policy(objects, "runner")) == [6443, 443, 8443]
    assert policy(objects, "runner")["egress"][1]["to"] == [{"ipBlock": {"cidr": "10.2.0.1/32"}}]


def test_metrics_let_the_scraper_in() -> None:
    """With metrics the runner's pod reaches the database, and its metrics port is open."""
    spec = policy(render((*PREFECT, "metrics.enabled=true")), "runner")

    assert 5432 in reached(spec)
    assert [rule["ports"] for rule in spec["ingress"]] == [[{"protocol": "TCP", "port": "metrics"}]]


def test_no_policies() -> None:
    """They can be left out."""
    assert not [name for kind, name in render((*EVERYTHING, "networkPolicy.enabled=false")) if kind == "NetworkPolicy"]


# Metrics, server


def test_metrics() -> None:
    """They come from a container of their own beside the worker, in direct mode from a pod of their own."""
    for sets, owner in ((PREFECT, "app-pgrollout-runner"), (DIRECT, "app-pgrollout-metrics")):
        objects = render((*sets, "metrics.enabled=true"))

        pod = objects["Deployment", owner]["spec"]["template"]
        (metrics,) = (each for each in pod["spec"]["containers"] if each["name"] == "metrics")
        assert metrics["command"] == ["pgrollout", "metrics", "--port", "9187"]
        assert metrics["ports"] == [{"name": "metrics", "containerPort": 9187}]
        service = objects["Service", "app-pgrollout-metrics"]["spec"]
        assert is_selected(pod["metadata"]["labels"], {"matchLabels": service["selector"]})
        assert service["ports"] == [{"name": "metrics", "port": 9187, "targetPort": "metrics"}]


def test_what_the_operators_are_told() -> None:
    """Monitor, rules and dashboard are there if asked for, and the rules are those of the file."""
    objects = render(EVERYTHING)

    monitor = objects["ServiceMonitor", "app-pgrollout"]["spec"]
    service = objects["Service", "app-pgrollout-metrics"]["metadata"]["labels"]
    assert is_selected(service, monitor["selector"])
    rules = yaml.safe_load((CHART / "files" / "prometheus-rules.yaml").read_text("utf-8"))
    assert objects["PrometheusRule", "app-pgrollout"]["spec"] == rules
    dashboard = objects["ConfigMap", "app-pgrollout-dashboard"]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["pgrollout.json"]) == json.loads(
        (CHART / "files" / "dashboard.json").read_text()
    )
    assert not {"ServiceMonitor", "PrometheusRule"} & {kind for kind, _ in render((*PREFECT, "metrics.enabled=true"))}


def test_rules_and_dashboard_are_those_that_are_tested() -> None:
    """A chart packs no file from beside it: its copies are equal to the originals."""
    for name in ("prometheus-rules.yaml", "dashboard.json"):
        assert (CHART / "files" / name).read_bytes() == (CHART.parent / "alerts" / name).read_bytes(), name


def test_own_server() -> None:
    """Without another URL the release's own server is the API, and only the release's pods reach it."""
    objects = render((*DIRECT, "server.enabled=true", "prefect.existingSecret=prefect-auth"))

    url = environment(container(job(objects)["spec"]["template"]))["PREFECT_API_URL"]
    assert url == "http://app-pgrollout-server.shop.svc:4200/api"
    pod = objects["Deployment", "app-pgrollout-server"]["spec"]["template"]
    found = environment(container(pod))
    assert found["PREFECT_SERVER_UI_API_URL"] == "/api"
    assert found["PREFECT_SERVER_API_AUTH_STRING"] == {"secretKeyRef": {"name": "prefect-auth", "key": "auth-string"}}
    assert {"name": "data", "emptyDir": {"sizeLimit": "2Gi"}} in pod["spec"]["volumes"]
    ((rule,),) = (policy(objects, "server")["ingress"],)
    runner = objects["Deployment", "app-pgrollout-runner"]["spec"]["template"]
    assert is_selected(runner["metadata"]["labels"], rule["from"][0]["podSelector"])


def test_own_server_on_postgresql() -> None:
    """The server's own database comes from a Secret, its state from a claim."""
    pod = render(EVERYTHING)["Deployment", "app-pgrollout-server"]["spec"]["template"]

    connection = environment(container(pod))["PREFECT_SERVER_DATABASE_CONNECTION_URL"]
    assert connection == {"secretKeyRef": {"name": "server-database", "key": "connection-url"}}
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "app-pgrollout-server"}} in pod["spec"]["volumes"]


# Backups, settings


@pytest.mark.parametrize(
    ("sets", "policy_of_backups"),
    [((), "none"), (("backup.persistence.enabled=true",), "dump"), (("backup.policy=none",), "none")],
)
def test_backup_policy(sets: tuple[str, ...], policy_of_backups: str) -> None:
    """A dump is taken where it can be kept."""
    found = environment(container(job(render((*DIRECT, *sets)))["spec"]["template"]))

    assert found["PGROLLOUT_BACKUP"] == policy_of_backups
    assert found["PGROLLOUT_BACKUP_DIR"] == "/backups"


def test_claim_is_never_deleted() -> None:
    """The claim is no part of the release, and Helm does not delete it before it makes it."""
    claim = render((*DIRECT, "backup.persistence.enabled=true"))["PersistentVolumeClaim", "app-pgrollout-backups"]

    assert claim["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert claim["metadata"]["annotations"]["helm.sh/hook-delete-policy"] == "hook-failed"
    assert claim["spec"] == {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}


def test_claim_that_is_there() -> None:
    """A claim that is named is mounted, and none is made."""
    objects = render((*DIRECT, "backup.persistence.enabled=true", "backup.persistence.existingClaim=mine"))

    assert not [name for kind, name in objects if kind == "PersistentVolumeClaim"]
    volumes = job(objects)["spec"]["template"]["spec"]["volumes"]
    assert {"name": "backups", "persistentVolumeClaim": {"claimName": "mine"}} in volumes


def test_settings() -> None:
    """Settings reach whoever decides and whoever carries out, as pgrollout writes them."""
    settings = ("settings.stall_budget_ms=2000", "settings.shadow_roles={app,batch}", "settings.pooler=session")

    objects = render((*PREFECT, *settings))

    for name in ("Deployment/app-pgrollout-runner", "app-pgrollout-pod/pod.yaml"):
        found = environment(container(dict(pods(objects))[name]))
        assert found["PGROLLOUT_STALL_BUDGET_MS"] == "2000"
        assert found["PGROLLOUT_SHADOW_ROLES"] == "app,batch"
        assert found["PGROLLOUT_POOLER"] == "session"


def test_large_number_in_a_file(tmp_path: Path) -> None:
    """A number that a file has is no floating-point one for pgrollout."""
    (tmp_path / "values.yaml").write_text("settings: {small_table_bytes: 10485760, lease_timeout_ms: 45000}")

    found = environment(container(job(render(DIRECT, (tmp_path / "values.yaml",)))["spec"]["template"]))

    assert found["PGROLLOUT_SMALL_TABLE_BYTES"] == "10485760"
    assert found["PGROLLOUT_LEASE_TIMEOUT_MS"] == "45000"


def test_configuration_of_the_values() -> None:
    """A whole pgrollout.toml is mounted over the image's wherever it is read."""
    for owner, pod in pods(render((*PREFECT, "config=[database.reader]"))):
        mounts = container(pod)["volumeMounts"]
        assert {
            "name": "config",
            "mountPath": "/app/pgrollout.toml",
            "subPath": "pgrollout.toml",
            "readOnly": True,
        } in mounts, owner


def test_pass_through() -> None:
    """What holds for all pods and what holds for one sort of them come together."""
    sets = (
        "nodeSelector.disk=fast",
        "stage.nodeSelector.zone=a",
        "tolerations[0].key=shared",
        "stage.tolerations[0].key=own",
        "podLabels.team=shop",
        "stage.podAnnotations.note=x",
        "priorityClassName=low",
        "stage.priorityClassName=high",
        "imagePullSecrets[0].name=registry",
        "extraEnv[0].name=HTTPS_PROXY",
        "extraEnv[0].value=http://proxy",
    )

    objects = dict(pods(render((*PREFECT, *sets))))

    stage, runner = objects["app-pgrollout-pod/pod.yaml"], objects["Deployment/app-pgrollout-runner"]
    assert stage["spec"]["nodeSelector"] == {"disk": "fast", "zone": "a"}
    assert runner["spec"]["nodeSelector"] == {"disk": "fast"}
    assert [each["key"] for each in stage["spec"]["tolerations"]] == ["own", "shared"]
    assert (stage["spec"]["priorityClassName"], runner["spec"]["priorityClassName"]) == ("high", "low")
    assert stage["metadata"]["annotations"] == {"note": "x"}
    for owner, pod in objects.items():
        assert pod["metadata"]["labels"]["team"] == "shop", owner
        assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}], owner
        assert environment(container(pod))["HTTPS_PROXY"] == "http://proxy", owner


# Deadlines


@pytest.mark.parametrize("timeout_seconds", [120, 300, 660, 3600])
@pytest.mark.parametrize("sort", [DIRECT, PREFECT])
def test_deadlines_fit_into_each_other(sort: tuple[str, ...], timeout_seconds: int) -> None:
    """Lock < run < stage's Job < hook's Job < Helm, with the time that a pod takes to stop, from the last one alone."""
    objects = render((*sort, f"{CHAIN}={timeout_seconds}"))

    hook_seconds = job(objects)["spec"]["activeDeadlineSeconds"]
    chain = [timeout_seconds, hook_seconds]
    if sort is PREFECT:
        runner = container(objects["Deployment", "app-pgrollout-runner"]["spec"]["template"])
        settings = environment(runner)
        chain.append(int(settings["PGROLLOUT_STAGE_DEADLINE_SECONDS"]))
        assert int(settings["PGROLLOUT_PENDING_SECONDS"]) < chain[-1]
    else:
        settings = environment(container(job(objects)["spec"]["template"]))
    assert all(outer > inner + 30 for outer, inner in itertools.pairwise(chain))
    run_ms, lock_ms = (int(settings[f"PGROLLOUT_{key}_DEADLINE_MS"]) for key in ("RUN", "TABLE_LOCK"))
    assert chain[-1] > run_ms // 1000 > lock_ms // 1000 > 0
    assert int(settings["PGROLLOUT_WAIT_FOR_RUN_MS"]) <= run_ms


@pytest.mark.parametrize(
    ("sets", "names"),
    [
        ((*DIRECT, "migration.activeDeadlineSeconds=600"), ("activeDeadlineSeconds (600)", f"{CHAIN} (300)")),
        ((*DIRECT, f"{CHAIN}=50"), (f"{CHAIN} (50)", "terminationGracePeriodSeconds (30)")),
        ((*PREFECT, "deadlines.stageSeconds=250"), ("stageSeconds (250)", "activeDeadlineSeconds (255)")),
        ((*DIRECT, "deadlines.runSeconds=255"), ("runSeconds (255)", "activeDeadlineSeconds (255)")),
        ((*PREFECT, "deadlines.runSeconds=210"), ("runSeconds (210)", "stageSeconds (210)")),
        ((*DIRECT, "deadlines.tableLockSeconds=240"), ("tableLockSeconds (240)", "runSeconds (240)")),
        ((*DIRECT, "stage.terminationGracePeriodSeconds=300"), ("terminationGracePeriodSeconds (300)", CHAIN)),
    ],
)
def test_deadlines_that_do_not_fit_are_refused(sets: tuple[str, ...], names: tuple[str, str]) -> None:
    """The message names both values."""
    with pytest.raises(Refused) as refused:
        render(sets)

    assert all(name in str(refused.value) for name in names), refused.value


def test_deadline_that_the_first_team_types() -> None:
    """The hook's own deadline counts as it is typed, if Helm waits that long."""
    objects = render((*DIRECT, "migration.activeDeadlineSeconds=600", f"{CHAIN}=660"))

    assert job(objects)["spec"]["activeDeadlineSeconds"] == 600


# As a part of an application's chart


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An application's chart with ours as its dependency ``migrations``."""
    chart = tmp_path_factory.mktemp("charts") / "shop"
    shutil.copytree(CHART, chart / "charts" / "pgrollout")
    dependency = {"name": "pgrollout", "version": "0.1.0", "alias": "migrations", "condition": "migrations.enabled"}
    about = {"apiVersion": "v2", "name": "shop", "version": "1.0.0", "dependencies": [dependency]}
    (chart / "Chart.yaml").write_text(yaml.safe_dump(about))
    (chart / "values.yaml").write_text("migrations: {enabled: false}\n")
    return chart


def test_subchart(application: Path) -> None:
    """`migrations.enabled=true` and the names of the first team are all that it takes."""
    sets = [f"migrations.{each}" for each in (*DIRECT, "migration.resources.limits.memory=256Mi")]

    objects = render(("migrations.enabled=true", *sets), chart=application)

    migrate = job(objects)
    assert migrate["metadata"]["name"] == "app-migrations-migrate"
    assert migrate["metadata"]["labels"]["app.kubernetes.io/name"] == "pgrollout"
    assert container(migrate["spec"]["template"])["resources"]["limits"]["memory"] == "256Mi"
    assert render(sets, chart=application) == {}


def test_subchart_shares_what_is_global(application: Path) -> None:
    """What application and migrations both need is said once; what the chart itself is told wins."""
    shared = ("host=db.example.com", "port=6432", "name=shop", "sslMode=verify-ca")
    sets = (
        "migrations.enabled=true",
        *(f"migrations.{each}" for each in IMAGE),
        *(f"global.database.{each}" for each in shared),
        "global.secrets.existingSecret=shared",
        "migrations.database.tls.existingSecret=postgres-ca",
    )

    found = environment(container(job(render(sets, chart=application))["spec"]["template"]))
    own = environment(
        container(
            job(render((*sets, *(f"migrations.{each}" for each in DATABASE)), chart=application))["spec"]["template"]
        )
    )

    assert [found[key] for key in ("PGHOST", "PGPORT", "PGDATABASE", "PGSSLMODE")] == [
        "db.example.com",
        "6432",
        "shop",
        "verify-ca",
    ]
    assert found["PGUSER"]["secretKeyRef"]["name"] == "shared"
    assert (own["PGPORT"], own["PGSSLMODE"]) == ("5432", "require")
    assert own["PGUSER"]["secretKeyRef"]["name"] == "postgres-secrets"


def test_subchart_refuses_typos(application: Path) -> None:
    """A typo below the alias is refused, too."""
    with pytest.raises(Refused, match="tga"):
        render(("migrations.enabled=true", "migrations.image.tga=1"), chart=application)


# What it says


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart, with an object that has the notes, which `helm template` keeps for itself."""
    chart = tmp_path_factory.mktemp("speaking") / "pgrollout"
    shutil.copytree(CHART, chart)
    notes = 'kind: Notes\nmetadata: {name: notes}\ntext: |\n  {{- include "pgrollout/templates/NOTES.txt" . | nindent 2 }}\n'
    (chart / "templates" / "notes.yaml").write_text(notes)
    return chart


@pytest.mark.parametrize(
    ("sets", "line"),
    [
        (DIRECT, "Migrations of registry.example.com/reader:4f2c1ab, by the hook itself."),
        (DIRECT, "No backup is taken before migrations."),
        (PREFECT, "through Prefect"),
        ((*DIRECT, "server.enabled=true"), "port-forward svc/app-pgrollout-server 4200"),
        ((*DIRECT, "server.enabled=true"), "asks nobody for a password"),
        ((*DIRECT, f"{CHAIN}=900"), "helm upgrade --timeout 900s"),
        ((*DIRECT, "migration.hook.enabled=false"), "nothing waits for it"),
        ((*DIRECT, "migration.hook.install=none", "migration.hook.upgrade=none"), "nothing is migrated unless"),
    ],
)
def test_notes(sets: tuple[str, ...], line: str, speaking: Path) -> None:
    """What is installed, and what to type next."""
    assert line in render(sets, chart=speaking)["Notes", "notes"]["text"]
