#!/usr/bin/env bash
# Tests `docker compose up`, without and with deploy/compose.caddy.yml, in a separate project and on separate ports.
# Takes about a minute after the build. Needs Docker, Compose and curl. Prints a line for each check, and stops at the
# first one that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

export COMPOSE_PROJECT_NAME=compose-check PORT=${PORT:-18080}
export HTTP_PORT=${HTTP_PORT:-18083} HTTPS_PORT=${HTTPS_PORT:-18443}
url=http://localhost:$PORT
jar=$(mktemp)
if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi

compose() { "${compose[@]}" "$@" >"$jar.log" 2>&1 || { cat "$jar.log" >&2; return 1; }; }
container() { "${compose[@]}" ps -q "$1"; }
inspect() { docker inspect --format "$2" "$1"; }

forget() {
  status=$?
  [ $status = 0 ] || "${compose[@]}" logs --no-color --tail 50 >&2
  "${compose[@]}" down --volumes >/dev/null 2>&1
  rm -f "$jar" "$jar".*
  exit $status
}
trap forget EXIT

is() { # is CHECK EXPECTED ACTUAL
  [ "$2" = "$3" ] || { echo "FAILED  $1: got $3, expected $2" >&2; exit 1; }
  echo "ok  $1"
}

# Caddy doesn't pass on requests for /health/ready, and returns 503 for every path until the app is ready.
probe=/health/ready
ready() { curl -fsS --retry 60 --retry-delay 1 --retry-all-errors "$url$probe" -o /dev/null 2>/dev/null; }
status() { curl -s -o /dev/null -w '%{http_code}' "${@:2}" "$url$1"; }

health() { # waits for a container's first health check
  for _ in $(seq 30); do
    case $(inspect "$1" '{{.State.Health.Status}}') in starting) sleep 1 ;; *) break ;; esac
  done
  inspect "$1" '{{.State.Health.Status}}'
}

visit() { # prints the count that the page shows
  ready
  curl -fsS -b "$jar" -c "$jar" "$url/" | sed -nE 's/.*id="visits">([0-9]+).*/\1/p'
}

beside() { # beside CONTAINER COMMAND...: runs a command of the database's image, because the app's has no shell
  docker run --rm --network none --pid "container:$1" --volumes-from "$1:ro" --entrypoint "$2" postgres:18 "${@:3}"
}

secrets() { # prints a hash of both secrets
  beside "$app" sha256sum /var/lib/actix-postgres-sessions/session-secret /run/database/pgpass | sha256sum
}

compose down --volumes
compose up --build --detach
is "a first visit counts one" 1 "$(visit)"
is "a second visit counts two" 2 "$(visit)"

app=$(container app) postgres=$(container postgres)
is "the app's health check passes" healthy "$(health "$app")"
is "the database's health check passes" healthy "$(health "$postgres")"
is "the log is JSON, one object per line" { "$(docker logs "$app" 2>&1 | sed 's/^\(.\).*/\1/' | sort -u)"

is "the app isn't root, and neither has nor can gain capabilities" \
  "Uid:65532 CapPrm:0000000000000000 CapEff:0000000000000000 CapBnd:0000000000000000 NoNewPrivs:1" \
  "$(beside "$app" sed -nE 's/^(Uid|CapPrm|CapEff|CapBnd|NoNewPrivs):\s+(\S+).*/\1:\2/p' /proc/1/status | xargs)"
is "the release build ignores the variable of cargo dev --watch" 0 \
  "$(docker cp "$app:/usr/local/bin/actix-postgres-sessions" - | grep -ac DEV_RELOAD || true)"
is "the app's file system is read-only" true "$(inspect "$app" '{{.HostConfig.ReadonlyRootfs}}')"
is "the app is only published on localhost" 127.0.0.1 \
  "$(inspect "$app" '{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}}{{end}}{{end}}')"
is "the database is not published" "" \
  "$(inspect "$postgres" '{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}}{{end}}{{end}}')"
is "only its owner can read the session secret" "600 65532" \
  "$(beside "$app" stat -c '%a %u' /var/lib/actix-postgres-sessions/session-secret)"
is "only the app can read the database password" "400 65532" "$(beside "$app" stat -c '%a %u' /run/database/pgpass)"
is "the app isn't a database superuser" f \
  "$(docker exec "$postgres" psql -U postgres -Atc "select rolsuper from pg_roles where rolname = 'app'")"
made=$(secrets)
password=$(beside "$app" cut -d: -f5 /run/database/pgpass)
is "the password isn't in a container's definition or an image" "" "$(
  { docker inspect "$app" "$postgres"
    docker history --no-trunc "$(inspect "$app" '{{.Image}}')"; } | grep -F "$password" || true
)"

compose restart
is "the session survives a restart" 3 "$(visit)"
compose down
compose up --detach
is "the session survives down and up" 4 "$(visit)"

app=$(container app) postgres=$(container postgres)
is "the secrets survive down and up" "$made" "$(secrets)"
docker stop "$postgres" >/dev/null
docker restart "$app" >/dev/null
curl -fsS --retry 20 --retry-delay 1 --retry-all-errors "$url/health/live" -o /dev/null 2>/dev/null
is "without its database, the app isn't ready" 503 "$(status /health/ready)"
docker start "$postgres" >/dev/null
is "the app waits for its database" 5 "$(visit)"

SECONDS=0
docker stop "$app" >/dev/null
is "the app stops by itself" 0 "$(inspect "$app" '{{.State.ExitCode}}')"
is "the app stops within ten seconds" 1 "$((SECONDS < 10))"

compose down --volumes
compose up --detach
is "down --volumes deletes the session" 1 "$(visit)"
app=$(container app)
remade=$(secrets)
is "down --volumes deletes the secrets" 1 "$([ "$made" = "$remade" ] || echo 1)"

### Behind Caddy, with a certificate from its own authority

compose down --volumes
compose+=(-f docker-compose.yml -f deploy/compose.caddy.yml)
compose up --detach
app=$(container app) caddy=$(container caddy)
: >"$jar"
export CURL_CA_BUNDLE=$jar.authority
for _ in $(seq 30); do
  docker exec "$caddy" cat /data/caddy/pki/authorities/local/root.crt >"$CURL_CA_BUNDLE" 2>/dev/null && break
  sleep 1
done
is "Caddy redirects plain HTTP" 308 "$(url=http://localhost:$HTTP_PORT status /)"
url=https://localhost:$HTTPS_PORT probe=/health/live
is "a first visit over TLS counts one" 1 "$(visit)"
is "the cookie is __Host-id" 1 "$(grep -c __Host-id "$jar")"
is "a second visit over TLS counts two" 2 "$(visit)"
is "experiments are off" 404 "$(status /experiments -b "$jar")"
is "another site can't log out" 403 \
  "$(status /logout -X POST -b "$jar" -H 'Origin: https://evil.example' -H 'X-Forwarded-For: 203.0.113.7')"
# Docker's gateway is the client of requests from this machine.
is "the app sees the client behind Caddy, and no forged one" \
  "$(inspect "$caddy" '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}')" \
  "$(docker logs "$app" 2>&1 | sed -nE 's/.*cross-origin.*"client":"([^"]*)".*/\1/p' | tail -n 1)"
is "the visitor can log out" 303 "$(status /logout -X POST -b "$jar" -c "$jar" -H "Origin: $url")"
is "the visit after a logout counts one" 1 "$(visit)"
compose down
compose up --detach
is "Caddy's authority survives down and up" 2 "$(visit)"
