#!/bin/sh
# The commands of a migration image by the names that pipelines know.
set -eu

usage() {
    echo "usage: migrate.sh status | validate | apply [OPTION…]; the database is in DATABASE_URL or in PGHOST, PGDATABASE, …" >&2
    exit 2
}

[ $# -gt 0 ] || usage
command=$1
shift
case $command in
    status | validate) exec pgrollout "$command" "$@" ;;
    apply) exec pgrollout run-stages "$@" ;;
    *) usage ;;
esac
