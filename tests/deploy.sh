#!/usr/bin/env bash
# Checks the files in deploy/. Runs nginx, HAProxy and Caddy with them in front of the app. Needs curl, openssl, python3
# with venv, nginx, haproxy, caddy and systemd-analyze.
set -euo pipefail
cd "$(dirname "$0")/.."

app=127.0.0.1:18083 http=18084 https=18443
work=$(mktemp -d)
chmod 755 "$work"
proxy=
stop_proxy() { [ -z "$proxy" ] || { kill "$proxy" 2>/dev/null || true; wait "$proxy" 2>/dev/null || true; }; proxy=; }
trap 'stop_proxy; kill -INT ${dev:-} 2>/dev/null || true; wait ${dev:-} 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "$*" >&2; tail -n 20 "$work"/*.log >&2; exit 1; }
assert() { [[ $2 == "$3" ]] || fail "$1: $2 instead of $3"; }

## Files that can only be validated

# The executable of the unit doesn't exist here.
sed 's|^ExecStart=.*|ExecStart=/bin/true|' deploy/app.service >"$work/app.service"
systemd-analyze verify "$work/app.service"
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check kubernetes-validate==1.37.0
"$work/venv/bin/kubernetes-validate" --strict deploy/kubernetes.yaml
"$work/venv/bin/python" - <<'PYTHON'
import yaml
try:
    import tomllib
    fly = tomllib.load(open("deploy/fly.toml", "rb"))
    assert fly["http_service"]["internal_port"] == 8080
except ModuleNotFoundError:
    print("fly.toml is not parsed: Python is older than 3.11")
web = yaml.safe_load(open("deploy/render.yaml"))["services"][0]
assert web["healthCheckPath"] == "/health/ready"
caddy = yaml.safe_load(open("deploy/compose.caddy.yml"))
assert caddy["networks"]["web"]["ipam"]["config"][0]["subnet"] == caddy["services"]["app"]["environment"]["TRUSTED_PROXIES"]
PYTHON

## Proxies

openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
  -keyout "$work/app.key" -out "$work/app.pem" 2>/dev/null
cat "$work/app.pem" "$work/app.key" >"$work/both.pem"

BIND_ADDRESS=$app COOKIE_SECURE=true TRUSTED_PROXIES=127.0.0.1 LOG_FORMAT=json cargo dev >"$work/app.log" 2>&1 &
dev=$!
until curl -fsS -o /dev/null "http://$app/health/ready" 2>/dev/null; do
  kill -0 $dev 2>/dev/null || fail "the app ended"
  sleep 0.5
done

# A browser at https://localhost, which also sends a forged address.
browser() {
  curl -sS --max-time 10 --cacert "$work/app.pem" --connect-to "localhost:443:127.0.0.1:$https" \
    --cookie "$work/cookies" --cookie-jar "$work/cookies" -H 'X-Forwarded-For: 198.51.100.7' "$@"
}
visits() { browser https://localhost/ | sed -n 's/.*id="visits">\([0-9]*\)<.*/\1/p'; }

# Sends 200 KB of requests on each of 20 connections and reads nothing, while another client is served.
flood() {
  python3 - "$https" "$work/app.pem" <<'PYTHON' &
import socket, ssl, sys, time
port, certificate = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=certificate)
context.set_alpn_protocols(["http/1.1"])
clients = [context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") for _ in range(20)]
requests = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5_700
for client in clients:
    client.settimeout(0.1)
    try:
        client.sendall(requests)
    except OSError:
        pass
time.sleep(3)
PYTHON
  local flood=$!
  for _ in 1 2 3 4 5 6; do
    sleep 0.5
    assert "$1: a page while others flood the app" "$(browser -o /dev/null -w '%{http_code}' https://localhost/visits)" 200
  done
  wait $flood
}

check() {
  for _ in $(seq 50); do
    curl -sk -o /dev/null --max-time 1 "https://127.0.0.1:$https/health/live" -H 'Host: localhost' && break
    sleep 0.1
  done
  rm -f "$work/cookies"
  assert "$1: the first visit" "$(visits)" 1
  assert "$1: the second visit" "$(visits)" 2
  grep -q $'__Host-id' "$work/cookies" || fail "$1: no __Host-id cookie"
  # Old browsers send Origin, which the app compares with the host that the proxy passes on.
  local logout='%{http_code} %{redirect_url}'
  logout=$(browser -o /dev/null -w "$logout" -X POST -H 'Origin: https://localhost' https://localhost/logout)
  assert "$1: the logout" "$logout" "303 https://localhost/"
  assert "$1: the visit after that" "$(visits)" 1
  browser -o /dev/null -X POST -H 'Origin: https://evil.example' https://localhost/logout
  assert "$1: the address in the log" "$(grep 'cross-origin' "$work/app.log" | tail -n 1 | grep -o '"client":"[^"]*"')" '"client":"127.0.0.1"'
  assert "$1: plain HTTP" "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: localhost' "http://127.0.0.1:$http/")" "$2"
  flood "$1"
  stop_proxy
  echo "$1 works"
}

sed -e "s|^user .*||; s|/run/nginx.pid|$work/nginx.pid|; s|listen 80;|listen 127.0.0.1:$http;|" \
  -e "s|listen 443 |listen 127.0.0.1:$https |; s|/etc/ssl/certs/app.pem|$work/app.pem|" \
  -e "s|/etc/ssl/private/app.key|$work/app.key|; s|127.0.0.1:8080|$app|" deploy/nginx.conf >"$work/nginx.conf"
nginx -t -q -c "$work/nginx.conf" -e "$work/nginx.log"
nginx -c "$work/nginx.conf" -e "$work/nginx.log" -g 'daemon off;' &
proxy=$!
check nginx 301

sed -e "s|bind :80$|bind 127.0.0.1:$http|; s|bind :443 |bind 127.0.0.1:$https |; s|/etc/haproxy/app.pem|$work/both.pem|" \
  -e "s|127.0.0.1:8080|$app|" deploy/haproxy.cfg >"$work/haproxy.cfg"
haproxy -c -q -f "$work/haproxy.cfg"
haproxy -f "$work/haproxy.cfg" >"$work/haproxy.log" 2>&1 &
proxy=$!
check HAProxy 301

# With this certificate instead of one from Let's Encrypt.
{
  printf '{\n\tadmin off\n\thttp_port %s\n\thttps_port %s\n}\n' $http $https
  sed "s|^{\$DOMAIN:localhost} {|&\n\ttls $work/app.pem $work/app.key|" deploy/Caddyfile
} >"$work/Caddyfile"
export XDG_DATA_HOME=$work XDG_CONFIG_HOME=$work APP=$app
caddy validate --adapter caddyfile --config "$work/Caddyfile" >"$work/caddy.log" 2>&1 || fail "the Caddyfile"
caddy run --adapter caddyfile --config "$work/Caddyfile" >>"$work/caddy.log" 2>&1 &
proxy=$!
check Caddy 308
