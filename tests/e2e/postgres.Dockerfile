# Debian's PostgreSQL, for the tests: run by an account that is not root, on a disk that is read-only.
ARG BASE=docker.io/library/python:3.13-slim-trixie
FROM ${BASE}
RUN apt-get update -q && apt-get install -qy --no-install-recommends postgresql-common \
    && sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf \
    && apt-get install -qy --no-install-recommends postgresql \
    && rm -rf /var/lib/apt/lists/* \
    && echo 'postgres65532:x:65532:65532::/tmp:/usr/sbin/nologin' >>/etc/passwd
RUN ln -s /usr/lib/postgresql/*/bin /opt/postgres
ENV PATH=/opt/postgres:/usr/local/bin:/usr/bin:/bin
USER 65532:65532
