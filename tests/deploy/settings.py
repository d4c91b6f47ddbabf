"""Checks the settings in deploy/ for tests/deploy.sh. The program accepts them, which only `healthcheck` shows without
a database. fly.io and Render document the keys of their files. The program's path is the argument."""

import ipaddress
import os
import subprocess
import sys
import tomllib

import yaml

program = sys.argv[1]

# https://fly.io/docs/reference/configuration/
FLY = """app primary_region kill_signal kill_timeout env build build.dockerfile http_service
    http_service.internal_port http_service.force_https http_service.auto_stop_machines
    http_service.auto_start_machines http_service.min_machines_running http_service.concurrency
    http_service.concurrency.type http_service.concurrency.soft_limit http_service.concurrency.hard_limit
    http_service.checks http_service.checks.path http_service.checks.method http_service.checks.interval
    http_service.checks.timeout http_service.checks.grace_period""".split()
# https://render.com/docs/blueprint-spec
RENDER = """services services.type services.name services.runtime services.plan services.region
    services.numInstances services.healthCheckPath services.maxShutdownDelaySeconds services.envVars
    services.envVars.key services.envVars.value services.envVars.generateValue services.envVars.sync
    services.envVars.fromDatabase services.envVars.fromDatabase.name services.envVars.fromDatabase.property
    databases databases.name databases.plan databases.region databases.postgresMajorVersion""".split()


def documents(name):
    with open(f"deploy/{name}") as file:
        return list(yaml.safe_load_all(file))


def keys(value, path=""):
    """The paths of all keys, except the names of variables."""
    if isinstance(value, list):
        return {key for one in value for key in keys(one, path)}
    if not isinstance(value, dict) or path == "env.":
        return set()
    return {path + key for key in value}.union(*(keys(one, f"{path}{key}.") for key, one in value.items()))


with open("deploy/fly.toml", "rb") as file:
    fly = tomllib.load(file)
[render] = documents("render.yaml")
[compose] = documents("compose.caddy.yml")
[container] = documents("kubernetes.yaml")[0]["spec"]["template"]["spec"]["containers"]
settings = {
    "fly.toml": fly["env"],
    "render.yaml": {one["key"]: one["value"] for one in render["services"][0]["envVars"] if "value" in one},
    "kubernetes.yaml": {one["name"]: one["value"] for one in container["env"]},
    "compose.caddy.yml": compose["services"]["app"]["environment"],
}
for name, variables in settings.items():
    # Nothing listens there.
    environment = os.environ | variables | {"BIND_ADDRESS": "127.0.0.1:1"}
    run = subprocess.run([program, "healthcheck"], env=environment, capture_output=True, text=True, timeout=10)
    if "Connection refused" not in run.stderr:
        sys.exit(f"{name}: {run.stderr}")

unknown = (keys(fly) - set(FLY)) | (keys(render) - set(RENDER))
assert not unknown, unknown

address = compose["services"]["caddy"]["networks"]["web"]["ipv4_address"]
[network] = compose["networks"]["web"]["ipam"]["config"]
assert ipaddress.ip_address(address) in ipaddress.ip_network(network["subnet"])
# Otherwise, the app would take Caddy's address, because it starts first.
assert ipaddress.ip_address(address) not in ipaddress.ip_network(network["ip_range"])
assert compose["services"]["app"]["environment"]["TRUSTED_PROXIES"] == address
assert fly["http_service"]["internal_port"] == container["ports"][0]["containerPort"] == 8080
