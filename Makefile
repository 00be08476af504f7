# Every target sets up what it needs. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
COMPILE := uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --quiet
IMAGE ?= localhost/pgrollout:dev

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv on PATH; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Setting up .venv, once …"
	@"$(PYTHON)" -m venv .venv
	@echo "Installing the packages of requirements.lock: one or two minutes …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	@echo "Installing pgrollout itself: seconds …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m compileall -q pgrollout flows tasks
	@touch .venv/installed

.PHONY: setup
setup: .venv/installed  ## set up the environment in .venv

.PHONY: demo
demo: setup  ## run the whole flow over migrations/ on an embedded PostgreSQL
	@$(BIN)/python -m flows.demo

.PHONY: ui
ui: setup  ## start a Prefect server with the deployments registered, for the browser
	@$(BIN)/python -m flows.ui

.PHONY: test
test: setup  ## run all tests but e2e and the longest, on each core
	@$(BIN)/python -m pytest -m "not e2e and not long" --numprocesses=auto --maxprocesses=4 --dist=worksteal

.PHONY: test-long
test-long: setup  ## run the tests that take longest, and need no cluster
	@$(BIN)/python -m pytest -m "long and not e2e" --numprocesses=auto --maxprocesses=4 --dist=worksteal

.PHONY: image
image:  ## build the image, as IMAGE, with docker, podman or buildah; BASE=… is what it is built on
	@deployments/image/build "$(IMAGE)"

.PHONY: e2e
e2e: setup  ## run the tests that need a cluster: KUBECONFIG's, or the one that PGROLLOUT_CLUSTER can start
	@$(BIN)/python -m tests.e2e.cluster
	@PGROLLOUT_REQUIRE="cluster,$$PGROLLOUT_REQUIRE" $(BIN)/python -m pytest -m e2e tests/e2e

.PHONY: kill-matrix
kill-matrix: setup  ## kill runs at every message, in every way; takes hours, writes docs/kill-matrix.md
	@$(BIN)/python -m tests.kill_matrix --report docs/kill-matrix.md

.PHONY: histories
histories: setup  ## play random histories of files, runs and deaths, and search for one with a bad end; takes hours
	@$(BIN)/python -m tests.histories --examples 2000

.PHONY: contention
contention: setup  ## show that nobody waits longer than the stall budget, against psql; writes docs/contention.md
	@$(BIN)/python -m tests.contention --write docs/contention.md

.PHONY: check
check: setup  ## ruff and mypy
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

.PHONY: lock
lock:  ## refresh the lock files: development, the image, its build (needs uv)
	@$(COMPILE) --extra flows --extra kubernetes --group dev pyproject.toml -o requirements.lock
	@$(COMPILE) --constraint requirements.lock --extra flows --extra kubernetes pyproject.toml -o requirements-image.lock
	@$(COMPILE) --constraint requirements.lock --group build -o requirements-build.lock

.PHONY: clean
clean:  ## remove the environment and the local state
	@if [ -f .pgrollout/postgres/root/location ]; then rm -rf "$$(cat .pgrollout/postgres/root/location)"; fi
	@rm -rf .venv .pgrollout .mypy_cache .pytest_cache .ruff_cache

.PHONY: help
help:
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
