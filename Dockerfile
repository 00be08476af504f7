# The image of pgrollout: the tool, the programs of a PostgreSQL client, and nothing to build with. It has no migrations: those
# are a user's, whose image is this one and three lines (deployments/image/example.Dockerfile).
#
#   BASE               Debian with Python 3.11 or newer, at /usr/local/bin or /usr/bin
#   PG_CLIENT_VERSION  major version of pg_dump: not older than the server. Empty: the newest of the base's distribution. One
#                      that the distribution has not comes from apt.postgresql.org.
#   VERSION, REVISION  for the labels
#
# Secrets, both optional: pip.conf, and pip_cert, the authorities that it names. deployments/image/build passes this machine's.
ARG BASE=docker.io/library/python:3.13-slim-trixie

# The packages, in /opt/pgrollout. Pip stays behind. Bytecode is by hash and unchecked: the files never change, whatever becomes
# of their times on the way into a layer.
FROM ${BASE} AS environment
RUN apt-get update -q && apt-get install -qy --no-install-recommends binutils \
    && { python3 -c 'import ensurepip' 2>/dev/null || apt-get install -qy --no-install-recommends python3-venv; } \
    && python3 -m venv /build/tools && python3 -m venv --without-pip /opt/pgrollout
WORKDIR /build/source
COPY requirements-build.lock requirements-image.lock ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=pip_cert --mount=type=cache,target=/build/cache \
    export PIP_CONFIG_FILE=/run/secrets/pip.conf PIP_CACHE_DIR=/build/cache PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    && /build/tools/bin/python -m pip install --quiet --require-hashes --no-deps -r requirements-build.lock \
    && /build/tools/bin/python -m pip --python /opt/pgrollout/bin/python3 install --quiet --no-compile \
        --require-hashes --no-deps --only-binary :all: -r requirements-image.lock
COPY deployments/image/trim /build/
RUN /build/trim /opt/pgrollout \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /opt/pgrollout/lib

# The tool itself, as /opt/pgrollout has it: a layer of its own, and a small one.
FROM environment AS tool
COPY pyproject.toml README.md LICENSE ./
COPY pgrollout pgrollout
COPY flows flows
COPY tasks tasks
RUN /build/tools/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /build/wheel . \
    && /build/tools/bin/python -m pip --python /opt/pgrollout/bin/python3 install --quiet --no-compile \
        --no-deps --no-index --prefix /build/tool /build/wheel/*.whl \
    && python3 -m compileall -q --invalidation-mode unchecked-hash /build/tool/lib

# The client's programs and the packages that they need. Debian's own package also wants Perl, for a wrapper that has no use here.
FROM ${BASE} AS client
ARG PG_CLIENT_VERSION=
COPY deployments/image/client deployments/image/settle /build/
RUN /build/client "${PG_CLIENT_VERSION}"

FROM ${BASE}
RUN --mount=type=bind,from=client,source=/build,target=/run/build /run/build/settle /run/build
COPY --from=environment /opt/pgrollout /opt/pgrollout
COPY --from=tool /build/tool /opt/pgrollout
COPY deployments/image/migrate.sh /scripts/
ENV PATH=/opt/pgrollout/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PGROLLOUT_LOG_FORMAT=json \
    PGROLLOUT_NO_EMBEDDED=1 \
    PREFECT_HOME=/tmp/prefect \
    PREFECT_SERVER_EPHEMERAL_ENABLED=0
WORKDIR /app
USER 65532:65532
CMD ["pgrollout", "--help"]
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="pgrollout" \
      org.opencontainers.image.description="Takes a Git folder of plain SQL migrations to a PostgreSQL database in six guarded stages." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
