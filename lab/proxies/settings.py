"""Checks the settings in deploy/ for proxies.sh. The program starts with them, although there is no database. The
program's path is the argument."""

import ipaddress
import subprocess
import sys
import tempfile

import yaml

program = sys.argv[1]


def documents(name):
    with open(f"deploy/{name}") as file:
        return list(yaml.safe_load_all(file))


[compose] = documents("compose.caddy.yml")
kubernetes = {one["kind"]: one["spec"] for one in documents("kubernetes.yaml")}
pod = kubernetes["Deployment"]["template"]["spec"]
[container] = pod["containers"]


def starts(name, variables):
    """The program listens with these settings, and with a secret like Kubernetes' in the file `.env`."""
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/.env", "w") as file:
            file.write(f"DATABASE_URL=postgres://127.0.0.1:1/app\nSESSION_SECRET={'0' * 32}\n")
        environment = variables | {"BIND_ADDRESS": "127.0.0.1:0"}
        run = subprocess.Popen([program], cwd=directory, env=environment, stderr=subprocess.PIPE, text=True)
        log = []
        for line in run.stderr:
            log.append(line)
            if "listening on" in line:
                break
        run.kill()
        run.wait()
        assert "listening on" in log[-1], f"{name}: {log}"


starts("kubernetes.yaml", {one["name"]: one["value"] for one in container["env"]})
starts("compose.caddy.yml", compose["services"]["app"]["environment"])

address = compose["services"]["caddy"]["networks"]["web"]["ipv4_address"]
[network] = compose["networks"]["web"]["ipam"]["config"]
assert ipaddress.ip_address(address) in ipaddress.ip_network(network["subnet"])
# Otherwise, the app would take Caddy's address, because it starts first.
assert ipaddress.ip_address(address) not in ipaddress.ip_network(network["ip_range"])
assert compose["services"]["app"]["environment"]["TRUSTED_PROXIES"] == address
# One visitor's experiments could slow down all others.
assert compose["services"]["app"]["environment"]["EXPERIMENTS"] == "false"
with open("deploy/haproxy-postgres.cfg") as file:
    binds = [line.split() for line in file if line.split()[:1] == ["bind"]]
assert binds == [["bind", "127.0.0.1:5432"]], "only programs on this machine may use the database's proxy"
assert container["ports"][0]["containerPort"] == 8080
[metrics] = documents("compose.metrics.yml")
grafana = metrics["services"]["grafana"]["environment"]
# Otherwise, the user admin with the password admin would be an administrator.
assert grafana["GF_AUTH_BASIC_ENABLED"] == "false" and grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
secret = next(one for one in pod["volumes"] if one["name"] == "secret")["secret"]
assert container["workingDir"] in [one["mountPath"] for one in container["volumeMounts"]] and secret["secretName"] == "app"
# The app needs 14 seconds after preStop.
assert pod["terminationGracePeriodSeconds"] >= container["lifecycle"]["preStop"]["sleep"]["seconds"] + 14
# Every pod selector must select the app's pods.
labels = kubernetes["Deployment"]["template"]["metadata"]["labels"]
selectors = [kubernetes["NetworkPolicy"]["podSelector"], kubernetes["PodDisruptionBudget"]["selector"]]
assert [one["matchLabels"] for one in selectors] == [labels] * 2 and kubernetes["Service"]["selector"] == labels
