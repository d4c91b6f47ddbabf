#!/usr/bin/env bash
# Fails over PostgreSQL while 64 visitors use three replicas of the app, with the files in deploy/. Needs
# etcd, HAProxy, openssl, PostgreSQL, and Python 3.11 with pip, which installs Patroni. Takes about three
# minutes after the build.
set -euo pipefail
cd "$(dirname "$0")/../.."

export POSTGRES_BIN=${POSTGRES_BIN:-$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1)}
for program in etcd haproxy openssl "$POSTGRES_BIN/postgres"; do
  command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
done
cargo build --quiet --locked
# Uses a temporary directory, because Patroni may run as a different user.
python=$(mktemp -d)
trap 'rm -rf "$python"' EXIT
chmod 755 "$python"
python3 -m venv "$python"
"$python/bin/pip" install --quiet --disable-pip-version-check 'patroni[etcd3]==4.1.5' 'psycopg[binary]==3.3.9'
PATH=$python/bin:$PATH python3 lab/failover/run.py "$PWD/target/debug/actix-postgres-sessions"
