"""
Servers in a namespace: PostgreSQL behind a Service with TLS, and Prefect's server on it.

Certificates are made here, by an authority of the tests' own; the Secrets have the names that a team would give them.
"""

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from psycopg import sql

from tests.e2e.cluster import Json, Namespace, restricted, wait_until

CA_SECRET = "postgres-ca"
"""The authority's certificate, ``ca.crt``; what sslrootcert names."""
CREDENTIALS = "postgres-secrets"
"""DATABASE_URL of the migration role; as PG* variables in ``postgres-secrets-pg``."""
CA_PATH = "/etc/postgres-ca/ca.crt"
DATABASE, ROLE = "reader", "deploy"

_START = """
set -eu
if [ ! -f /data/cluster/PG_VERSION ]; then
    initdb --pgdata=/data/new --username=postgres --pwfile=/secret/password --auth=scram-sha-256 --encoding=UTF8 \
        --locale=C.UTF-8 --no-instructions
    mv /data/new /data/cluster
fi
printf '%s\\n' 'local all all trust' 'hostssl all all all scram-sha-256' >/data/cluster/pg_hba.conf
exec postgres -D /data/cluster -c listen_addresses='*' -c unix_socket_directories=/tmp -c ssl=on \
    -c ssl_cert_file=/tls/tls.crt -c ssl_key_file=/tls/tls.key -c password_encryption=scram-sha-256
"""


@dataclass(frozen=True)
class Postgres:
    """PostgreSQL in a namespace: only with TLS, database ``reader``, owned by the role ``deploy``."""

    namespace: Namespace
    authority: str
    """Its certificate, PEM."""
    superuser_password: str
    password: str
    """Of the migration role."""
    name: str = "postgres"
    """Of StatefulSet and Service; its pod is ``postgres-0``."""

    @property
    def host(self) -> str:
        """The name by which every namespace finds it, and which its certificate has."""
        return f"{self.name}.{self.namespace.name}.svc"

    def url(self, dbname: str = DATABASE, user: str = ROLE, password: str = "") -> str:
        """Return the URL that pods use; the authority is mounted where ``ca_mount`` puts it."""
        login = f"{user}:{quote(password or self.password)}"
        return f"postgresql://{login}@{self.host}:5432/{dbname}?sslmode=verify-full&sslrootcert={CA_PATH}"

    @staticmethod
    def ca_mount() -> dict[str, Json]:
        """Return the volume with the authority, for ``restricted``."""
        return {CA_PATH.rpartition("/")[0]: {"secret": {"secretName": CA_SECRET}}}

    @contextlib.contextmanager
    def connect(self, dbname: str = DATABASE) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
        """Connect as the superuser, in autocommit mode, while the block lasts."""
        with (
            self.namespace.port_forward(f"service/{self.name}", 5432) as port,
            psycopg.connect(
                host=self.host, hostaddr="127.0.0.1", port=port, dbname=dbname, user="postgres",
                password=self.superuser_password, sslmode="require", autocommit=True,
            ) as connection,
        ):  # fmt: skip
            yield connection

    def execute(self, text: str, dbname: str = DATABASE) -> list[tuple[Any, ...]]:
        """Run statements as the superuser; return the rows of the last that has some."""
        with self.connect(dbname) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []

    def make_database(self, name: str, role: str, password: str) -> None:
        """Make a role and a database that it owns."""
        with self.connect("postgres") as connection:
            login = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(password))
            connection.execute(login)
            owned = sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(role))
            connection.execute(owned)

    def restart(self, how: str = "INT") -> None:
        """End the server, by SIGINT fast, by SIGQUIT as a crash; its container starts again, with the same data."""
        pod = f"{self.name}-0"
        before = self._restarts()
        self.namespace.execute(pod, "sh", "-c", f"kill -{how} 1")
        wait_until(lambda: self._restarts() > before, "PostgreSQL has been started again")
        self.namespace.ready("statefulset", self.name)

    def _restarts(self) -> int:
        (status,) = self.namespace.get("pod", f"{self.name}-0")["status"]["containerStatuses"]
        count: int = status["restartCount"]
        return count


def start_postgres(namespace: Namespace, image: str) -> Postgres:
    """Start PostgreSQL, make the database and the roles of the example, and return it once it is ready."""
    authority, certificate, key = _certificates(f"postgres.{namespace.name}.svc")
    postgres = Postgres(namespace, authority, secrets.token_urlsafe(16), secrets.token_urlsafe(16))
    namespace.apply(
        secret(CA_SECRET, {"ca.crt": authority}),
        secret("postgres-tls", {"tls.crt": certificate, "tls.key": key}),
        secret("postgres-superuser", {"password": postgres.superuser_password}),
        secret(CREDENTIALS, {"DATABASE_URL": postgres.url()}),
        secret(
            f"{CREDENTIALS}-pg",
            {
                "PGHOST": postgres.host,
                "PGDATABASE": DATABASE,
                "PGUSER": ROLE,
                "PGPASSWORD": postgres.password,
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": CA_PATH,
            },
        ),
        service(postgres.name, 5432),
        _stateful(
            restricted(
                postgres.name,
                image,
                ["/bin/sh", "-c", _START],
                labels={"app": postgres.name},
                mounts={
                    "/secret": {"secret": {"secretName": "postgres-superuser"}},
                    # Kept while the pod is: a claim would need a provisioner that gives it to this account.
                    "/data": {"emptyDir": {}},
                    # PostgreSQL wants a key that is root's to be readable for its group at most.
                    "/tls": {"secret": {"secretName": "postgres-tls", "defaultMode": 0o440}},
                },
                readinessProbe={
                    "exec": {"command": ["pg_isready", "--host=/tmp", "--username=postgres"]},
                    "periodSeconds": 1,
                },
            )
        ),
    )
    namespace.ready("statefulset", postgres.name)
    postgres.make_database(DATABASE, ROLE, postgres.password)
    postgres.execute("CREATE ROLE reader_app NOLOGIN; CREATE ROLE reader_readonly NOLOGIN")
    return postgres


@dataclass(frozen=True)
class PrefectServer:
    """Prefect's server in a namespace, on the namespace's PostgreSQL; it asks for a login."""

    namespace: Namespace
    auth: str
    """``user:password``; pods find it in the Secret ``prefect-auth`` under ``auth-string``."""
    name: str = "prefect"

    @property
    def api_url(self) -> str:
        """The address of its API inside the cluster."""
        return f"http://{self.name}.{self.namespace.name}.svc:4200/api"

    @contextlib.contextmanager
    def reached(self) -> Iterator[str]:
        """Give the address of its API on this machine, while the block lasts."""
        with self.namespace.port_forward(f"service/{self.name}", 4200) as port:
            yield f"http://127.0.0.1:{port}/api"

    def restart(self) -> None:
        """End its pod, and wait until the next one is ready."""
        self.namespace.run("kubectl", "rollout", "restart", f"deployment/{self.name}")
        self.namespace.ready("deployment", self.name)


def start_prefect(postgres: Postgres, image: str) -> PrefectServer:
    """Start Prefect's server, and return it once it is ready."""
    namespace = postgres.namespace
    prefect = PrefectServer(namespace, f"admin:{secrets.token_urlsafe(16)}")
    password = secrets.token_urlsafe(16)
    postgres.make_database("prefect", "prefect", password)
    connection = f"postgresql+asyncpg://prefect:{quote(password)}@{postgres.host}:5432/prefect"
    namespace.apply(
        secret("prefect-auth", {"auth-string": prefect.auth}),
        secret(
            "prefect-server",
            {"PREFECT_SERVER_DATABASE_CONNECTION_URL": connection, "PREFECT_SERVER_API_AUTH_STRING": prefect.auth},
        ),
        service(prefect.name, 4200),
        _deployment(
            restricted(
                prefect.name,
                image,
                ["prefect", "server", "start", "--host=0.0.0.0", "--port=4200"],
                labels={"app": prefect.name},
                secret="prefect-server",
                environment={
                    # asyncpg reads libpq's variables.
                    "PGSSLMODE": "verify-full",
                    "PGSSLROOTCERT": CA_PATH,
                    "PREFECT_SERVER_UI_API_URL": "/api",
                    "PREFECT_SERVER_UI_STATIC_DIRECTORY": "/tmp/prefect-ui",  # noqa: S108  in the pod
                    "PREFECT_UI_URL": f"http://{prefect.name}.{namespace.name}.svc:4200",
                    "PREFECT_SERVER_ANALYTICS_ENABLED": "0",
                    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
                },
                mounts=postgres.ca_mount(),
                readinessProbe={
                    "httpGet": {"path": "/api/health", "port": 4200},
                    "periodSeconds": 1,
                    "timeoutSeconds": 5,
                },
            )
        ),
    )
    namespace.ready("deployment", prefect.name)
    return prefect


def secret(name: str, values: dict[str, str]) -> Json:
    """Return a Secret."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def service(name: str, port: int) -> Json:
    """Return a Service for the pods with the label ``app`` of that name."""
    spec = {"selector": {"app": name}, "ports": [{"name": "main", "port": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _controlled(kind: str, pod: Json, **spec: Any) -> Json:
    name, labels = pod["metadata"]["name"], pod["metadata"]["labels"]
    template = {"metadata": {"labels": labels}, "spec": {**pod["spec"], "restartPolicy": "Always"}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


def _deployment(pod: Json) -> Json:
    return _controlled("Deployment", pod)


def _stateful(pod: Json) -> Json:
    return _controlled("StatefulSet", pod, serviceName=pod["metadata"]["name"])


def _certificates(host: str) -> tuple[str, str, str]:
    """Return an authority's certificate, and one with its key that the authority gave the host."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])
    now = datetime.now(UTC)

    def begun(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
        )

    authority = (
        begun(issuer, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName(name) for name in (host.partition(".")[0], host, f"{host}.cluster.local")]
    certificate = (
        begun(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]), key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return authority.public_bytes(pem).decode(), certificate.public_bytes(pem).decode(), private.decode()
