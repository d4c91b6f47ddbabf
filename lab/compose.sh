#!/usr/bin/env bash
# Tests `docker compose up`. Then follows docs/deploy.md with the document's own commands: the start behind
# Caddy, the checks, an upgrade, a rollback, a backup and a restore. Uses a separate project, separate ports
# and a clone. Needs Docker, Compose, Git and curl. Prints a line for each check, and stops at the first one
# that fails. If no registry is in reach, uses the local images for the tags instead of the pinned ones.
set -euo pipefail
cd "$(dirname "$0")/.."

export COMPOSE_PROJECT_NAME=compose-check PORT=${PORT:-18080}
export HTTP_PORT=${HTTP_PORT:-18083} HTTPS_PORT=${HTTPS_PORT:-18443}
url=http://localhost:$PORT
jar=$(mktemp)
if docker compose version >/dev/null 2>&1; then compose=(command docker compose); else compose=(docker-compose); fi

compose() { "${compose[@]}" "$@" >"$jar.log" 2>&1 || { cat "$jar.log" >&2; return 1; }; }
container() { "${compose[@]}" ps -q "$1"; }
inspect() { docker inspect --format "$2" "$1"; }

forget() {
  status=$?
  [ $status = 0 ] || "${compose[@]}" logs --no-color --tail 50 >&2
  "${compose[@]}" down --volumes >/dev/null 2>&1
  cd / && rm -rf "$jar" "$jar".*
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

beside() { # beside CONTAINER COMMAND...: runs a command from the database's image, because the app's image has no shell
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

is "the app isn't root, has no capabilities and can't gain any" \
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
is "the app exits cleanly" 0 "$(inspect "$app" '{{.State.ExitCode}}')"
is "the app stops within ten seconds" 1 "$((SECONDS < 10))"

compose down --volumes
compose up --detach
is "down --volumes deletes the session" 1 "$(visit)"
app=$(container app)
remade=$(secrets)
is "down --volumes deletes the secrets" 1 "$([ "$made" = "$remade" ] || echo 1)"

### docs/deploy.md, behind Caddy, with a certificate from Caddy's own CA

compose down --volumes
document=$PWD/docs/deploy.md
export HOME=$jar.home CURL_CA_BUNDLE=$jar.authority
mkdir "$HOME"
pinned=deploy/pinned/compose.yml unpin=
if ! docker pull --quiet "$(sed -nE 's/^ *image: (postgres:.*)/\1/p' $pinned)" >/dev/null 2>&1; then
  echo "SKIPPED  the pinned images: no registry is in reach"
  unpin="s#:$pinned##"
fi
git clone --quiet . "$jar.origin"
git -C "$jar.origin" switch --quiet --force-create main

# The document's host name, ports and repository can't be reached from here, so these functions replace them.
docker() { if [ "$1" = compose ]; then "${compose[@]}" "${@:2}"; else command docker "$@"; fi; }
curl() {
  command curl --connect-to "localhost:80:localhost:$HTTP_PORT" --connect-to "localhost:443:localhost:$HTTPS_PORT" "$@"
}
code() { # code HEADING LANGUAGE: prints the code in a section
  sed -n "/^## $1$/,/^## [^$]*$/p" "$document" | sed -n "/^\`\`\`$2$/,/^\`\`\`$/p" |
    sed "/^\`\`\`/d; /get.docker.com/d; /apt-get/d; s#https://github.com/OWNER/NAME#$jar.origin#; s/app\.example\.org/localhost/g; $unpin"
}
follow() { # follow HEADING: runs the commands in a section
  local commands
  commands=$(code "$1" sh)
  [ -n "$commands" ] || { echo "FAILED  $1: the document has no commands" >&2; exit 1; }
  # On the left of `||`, the shell would ignore `set -e`.
  set +e
  (set -e; eval "$commands") >"$jar.log" 2>&1
  local status=$?
  set -e
  [ $status = 0 ] || { cat "$jar.log" >&2; exit 1; }
}
check() { # check WHEN: runs the document's checks
  ready
  cd "$HOME/app"
  is "docs/deploy.md's checks pass $1" "$(code Check console | grep -v '^\$ ')" \
    "$(eval "$(code Check console | sed -n 's/^\$ //p')" | tr -d '\r')"
}
sql() { docker exec "$(container postgres)" psql --username postgres --dbname app -Atc "$1"; }

: >"$jar"
follow "From an empty server to HTTPS"
cd "$HOME/app"
app=$(container app) caddy=$(container caddy)
for _ in $(seq 30); do
  docker exec "$caddy" cat /data/caddy/pki/authorities/local/root.crt >"$CURL_CA_BUNDLE" 2>/dev/null && break
  sleep 1
done
url=https://localhost probe=/health/live
check "after the start"
is "a first visit over TLS counts one" 1 "$(visit)"
is "the cookie is __Host-id" 1 "$(grep -c __Host-id "$jar")"
is "a second visit over TLS counts two" 2 "$(visit)"
is "experiments are off" 404 "$(status /experiments -b "$jar")"
is "another site can't log out" 403 \
  "$(status /logout -X POST -b "$jar" -H 'Origin: https://evil.example' -H 'X-Forwarded-For: 203.0.113.7')"
# Requests from this machine come from Docker's gateway.
is "the app sees the real client behind Caddy, and not a forged address" \
  "$(inspect "$caddy" '{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}')" \
  "$(docker logs "$app" 2>&1 | sed -nE 's/.*cross-origin.*"client":"([^"]*)".*/\1/p' | tail -n 1)"

sed -i 's/Welcome back/Hello again/' "$jar.origin/templates/welcome.html"
git -C "$jar.origin" -c user.name=lab -c user.email=lab@localhost commit --quiet --all --message "A new version"
greeting() { ready; curl -fsS -b "$jar" "$url/" | sed -nE 's/<h1>(.*)<.h1>/\1/p'; }
is "the first version greets" "Welcome back." "$(greeting)"
follow Upgrade
check "after the upgrade"
is "the new version greets the same visitor" "Hello again." "$(greeting)"
follow "Roll back"
check "after the rollback"
is "the first version greets the same visitor again" "Welcome back." "$(greeting)"

follow "Back up"
is "the backup has a file for this day" "$(date +%A).dump" "$(ls "$HOME/backups")"
rm "$HOME/backups"/*
(eval "$(code "Back up" crontab | sed 's/^[0-9*]* [0-9*]* \* \* \* //; s/\\%/%/g')") >"$jar.log" 2>&1 || { cat "$jar.log" >&2; exit 1; }
is "the backup by cron has the same name" "$(date +%A).dump" "$(ls "$HOME/backups")"
is "only the owner can read the backups" 700 "$(stat -c %a "$HOME/backups")"
visits=$(sql "select visits from visitors")
cp "$jar" "$jar.before"
is "the visitor can log out" 303 "$(status /logout -X POST -b "$jar" -c "$jar" -H "Origin: $url")"
is "the visit after a logout counts one" 1 "$(visit)"
is "the next visit counts two" 2 "$(visit)"
cp "$HOME/backups"/*.dump "$HOME/backups/restore.dump"
follow Restore
check "after the restore"
is "the visitor's row is as in the backup, and the later row is gone" "$visits" "$(sql "select visits from visitors")"
is "the app still owns its tables" app "$(sql "select distinct tableowner from pg_tables where schemaname = 'public'")"
cp "$jar.before" "$jar"
is "the session that ended after the backup is still invalid" 1 "$(visit)"
is "the app counts again" 2 "$(visit)"
compose down
compose up --detach
is "Caddy's authority survives down and up" 3 "$(visit)"
