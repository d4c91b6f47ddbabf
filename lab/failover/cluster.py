"""Two PostgreSQL servers under Patroni, with etcd, behind HAProxy, from the files in deploy/."""

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from network import certificates, free_ports, http

DEPLOY = Path(__file__).parents[2] / "deploy"
# PostgreSQL refuses to run as root. Patroni may be in a directory that only root can read.
AS_USER = (
    "setpriv --reuid=nobody --regid=nogroup --clear-groups --inh-caps=+dac_override --ambient-caps=+dac_override "
    "--securebits=+no_setuid_fixup"
).split() * (os.getuid() == 0)
NODES = ("db1", "db2")


def eventually(what, seconds, ask):
    """Waits until `ask` returns something true, and returns it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ask():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s: {what}")


class Cluster:
    def __init__(self, work):
        self.work = work
        self.tls = work / "tls"
        self.running = {}

    def start_all(self, synchronous):
        """Starts everything. Needs `stop`, even if this fails."""
        self.etcd, peer, self.port, *ports = free_ports(9)
        self.postgres = dict(zip(NODES, ports))
        self.patroni = dict(zip(NODES, ports[2:]))
        # Patroni reaches etcd through one of these. A node without its link is cut off.
        self.links = dict(zip(NODES, ports[4:]))
        certificates(self.tls)
        etcd = f"https://127.0.0.1:{self.etcd}"
        self.start(
            "etcd", "etcd", "--cert-file", self.tls / "server.pem", "--key-file", self.tls / "server.key",
            "--data-dir", self.work / "etcd", "--listen-client-urls", etcd, "--advertise-client-urls", etcd,
            "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls",
            f"http://127.0.0.1:{peer}", "--initial-cluster", f"default=http://127.0.0.1:{peer}",
        )  # fmt: skip
        eventually("etcd answers", 20, lambda: http(f"{etcd}/health", authority=self.tls / "ca.pem")[0] == 200)
        self.protect_etcd()
        for node in NODES:
            self.configure(node, synchronous)
            self.connect(node)
            self.start_node(node)
            self.wait_for_leader(60)
        proxy = (DEPLOY / "haproxy-postgres.cfg").read_text()
        assert "bind 127.0.0.1:5432\n" in proxy
        proxy = proxy.replace("bind 127.0.0.1:5432", f"bind 127.0.0.1:{self.port}")
        for number, node in enumerate(NODES, 1):
            proxy = proxy.replace(
                f"10.0.0.{number}:5432 port 8008", f"127.0.0.1:{self.postgres[node]} port {self.patroni[node]}"
            )
        (self.work / "haproxy.cfg").write_text(proxy)
        self.start("haproxy", "haproxy", "-f", self.work / "haproxy.cfg")

    def protect_etcd(self):
        """Does what the comment in deploy/patroni.yml does with etcdctl."""
        assert http(f"http://127.0.0.1:{self.etcd}/health")[0] != 200, "etcd answers without TLS"
        name, password = re.search(r"username: (patroni)\n  password: (\S+)", (DEPLOY / "patroni.yml").read_text()).groups()
        keys = [base64.b64encode(key).decode() for key in (b"/service/app/", b"/service/app0")]
        permission = {"permType": "READWRITE", "key": keys[0], "range_end": keys[1]}
        for what, body in [
            ("auth/user/add", {"name": "root", "password": "a password of the failover test"}),
            ("auth/user/add", {"name": name, "password": password}),
            ("auth/role/add", {"name": name}),
            ("auth/role/grant", {"name": name, "perm": permission}),
            ("auth/user/grant", {"user": "root", "role": "root"}),
            ("auth/user/grant", {"user": name, "role": name}),
            ("auth/enable", {}),
        ]:
            status, text = self.ask_etcd(what, body)
            assert status == 200, f"{what}: {text}"
        status, text = self.ask_etcd("kv/range", {"key": keys[0]})
        assert status != 200, f"etcd answers without a password: {text}"

    def ask_etcd(self, what, body):
        return http(f"https://127.0.0.1:{self.etcd}/v3/{what}", body, authority=self.tls / "ca.pem")

    def configure(self, node, synchronous):
        """Writes deploy/patroni.yml with this node's addresses and paths."""
        text = (DEPLOY / "patroni.yml").read_text()
        address = f"127.0.0.1:{self.postgres[node]}"
        for old, new in [
            (r"name: db1", f"name: {node}"),
            (r"(etcd3:\n(?:  #.*\n)*)  hosts: .*", rf"\1  use_proxies: true\n  hosts: 127.0.0.1:{self.links[node]}"),
            (r"/etc/patroni/", f"{self.tls}/"),
            (r"10\.0\.0\.1, 10\.0\.0\.2", "127.0.0.1"),
            (r"10\.0\.0\.1:8008", f"127.0.0.1:{self.patroni[node]}"),
            (r"10\.0\.0\.1:5432", address),
            (r"10\.0\.0\.0/24", "127.0.0.1/32"),
            (r"/var/lib/postgresql/app", str(self.work / node)),
            (r"/usr/lib/postgresql/15/bin", os.environ["POSTGRES_BIN"]),
            (r"/var/run/postgresql", str(self.work)),
            (r"synchronous_mode: true", f"synchronous_mode: {str(synchronous).lower()}\n    maximum_lag_on_failover: 1000000000"),
        ]:
            text, found = re.subn(old, new, text)
            assert found, f"deploy/patroni.yml has no {old}"
        (self.work / f"{node}.yml").write_text(text)

    def start(self, name, *command):
        log = (self.work / f"{name}.log").open("a")
        self.running[name] = subprocess.Popen(
            [str(word) for word in command], stdout=log, stderr=log, cwd=self.work, start_new_session=True
        )

    def connect(self, node):
        """Connects this node to etcd."""
        (self.work / f"link-{node}.cfg").write_text(
            "defaults\n mode tcp\n timeout connect 1s\n timeout client 1h\n timeout server 1h\n"
            f"listen etcd\n bind 127.0.0.1:{self.links[node]}\n server etcd 127.0.0.1:{self.etcd}\n"
        )
        self.start(f"link-{node}", "haproxy", "-f", self.work / f"link-{node}.cfg")

    def cut(self, node):
        """Cuts this node off from etcd."""
        self.end(f"link-{node}", signal.SIGKILL)

    def start_node(self, node):
        self.start(node, *AS_USER, "patroni", self.work / f"{node}.yml")

    def end(self, name, how=signal.SIGTERM):
        process = self.running.pop(name)
        process.send_signal(how)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)

    def processes(self, node):
        """Returns the server's main process, and its processes that send WAL to a standby."""
        main = int((self.work / node / "postmaster.pid").read_text().split()[0])
        ps = ["ps", "-o", "pid=", "-o", "args=", "--ppid", str(main)]
        children = subprocess.run(ps, capture_output=True, text=True, check=True).stdout.splitlines()
        senders = [int(line.split()[0]) for line in children if "walsender" in line]
        assert senders, children
        return main, senders

    def lose(self, node):
        """Ends everything on this node at once, a moment after it has stopped sending WAL."""
        main, senders = self.processes(node)
        for sender in senders:
            os.kill(sender, signal.SIGSTOP)
        time.sleep(0.5)
        self.end(node, signal.SIGKILL)
        for pid in [main, *senders]:
            os.kill(pid, signal.SIGKILL)

    def members(self):
        """Returns each member's role and state, according to the first node that responds."""
        for node in NODES:
            status, text = http(f"http://127.0.0.1:{self.patroni[node]}/cluster")
            if status == 200:
                return {member["name"]: (member["role"], member["state"]) for member in json.loads(text)["members"]}
        return {}

    def leader(self):
        """Returns the node that says that it is the leader."""
        return next((n for n in NODES if http(f"http://127.0.0.1:{self.patroni[n]}/primary")[0] == 200), None)

    def wait_for_leader(self, seconds):
        return eventually("there is a leader", seconds, self.leader)

    def wait_for_standby(self, role):
        """Waits until the other node streams in this role."""
        return eventually(
            f"there is a {role}", 60, lambda: (role, "streaming") in self.members().values() and self.leader()
        )

    def switch_over(self):
        leader = self.leader()
        other = next(node for node in NODES if node != leader)
        url = f"http://127.0.0.1:{self.patroni[leader]}/switchover"
        body = {"leader": leader, "candidate": other}
        status, text = http(url, body)
        assert status == 401, f"a switchover without a password: {status} {text}"
        login = re.search(r"username: (patroni)\n    password: (\S+)", (DEPLOY / "patroni.yml").read_text())
        status, text = http(url, body, ":".join(login.groups()), source="127.0.0.2")
        assert status == 403, f"a switchover from an address that is not allowed: {status} {text}"
        status, text = http(url, body, ":".join(login.groups()))
        assert status == 200, text
        return leader

    def sql(self, statement, database="postgres"):
        done = self.psql(f"host={self.work} dbname={database}", statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def psql(self, where, statement):
        """Connects to the leader, as the superuser unless `where` names a different user."""
        port = self.postgres[self.wait_for_leader(30)]
        password = re.search(r"username: postgres\n\s+password: (\S+)", (DEPLOY / "patroni.yml").read_text())[1]
        where = f"user=postgres password={password} port={port} {where}"
        psql = Path(os.environ["POSTGRES_BIN"]) / "psql"
        return subprocess.run([psql, "-XAtq", where, "-c", statement], capture_output=True, text=True, timeout=30)

    def assert_protected(self):
        """Checks that the superuser can't connect over the network, and that no one can without TLS."""
        for where in ["sslmode=require", "user=app password=password dbname=app sslmode=disable"]:
            done = self.psql(f"host=127.0.0.1 {where}", "select 1")
            assert "no pg_hba.conf entry" in done.stderr, f"{where}: {done}"

    def stop(self):
        for node in NODES:
            if node in self.running:
                self.end(node)
            # Patroni may have died without its server.
            file = self.work / node / "postmaster.pid"
            if file.exists():
                try:
                    os.kill(int(file.read_text().split()[0]), signal.SIGQUIT)
                except ProcessLookupError:
                    pass
        for name in list(self.running):
            self.end(name)
        for path in [*NODES, "etcd"]:
            shutil.rmtree(self.work / path, ignore_errors=True)
