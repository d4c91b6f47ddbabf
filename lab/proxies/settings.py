"""Checks the settings in deploy/ for proxies.sh. The program accepts them, which only `healthcheck` shows without a
database. The program's path is the argument."""

import ipaddress
import os
import subprocess
import sys

import yaml

program = sys.argv[1]


def documents(name):
    with open(f"deploy/{name}") as file:
        return list(yaml.safe_load_all(file))


[compose] = documents("compose.caddy.yml")
[container] = documents("kubernetes.yaml")[0]["spec"]["template"]["spec"]["containers"]
settings = {
    "kubernetes.yaml": {one["name"]: one["value"] for one in container["env"]},
    "compose.caddy.yml": compose["services"]["app"]["environment"],
}
for name, variables in settings.items():
    # Nothing listens there.
    environment = os.environ | variables | {"BIND_ADDRESS": "127.0.0.1:1"}
    run = subprocess.run([program, "healthcheck"], env=environment, capture_output=True, text=True, timeout=10)
    if "Connection refused" not in run.stderr:
        sys.exit(f"{name}: {run.stderr}")

address = compose["services"]["caddy"]["networks"]["web"]["ipv4_address"]
[network] = compose["networks"]["web"]["ipam"]["config"]
assert ipaddress.ip_address(address) in ipaddress.ip_network(network["subnet"])
# Otherwise, the app would take Caddy's address, because it starts first.
assert ipaddress.ip_address(address) not in ipaddress.ip_network(network["ip_range"])
assert compose["services"]["app"]["environment"]["TRUSTED_PROXIES"] == address
assert container["ports"][0]["containerPort"] == 8080
