"""Fails PostgreSQL over in three ways while 64 visitors use three replicas of the app. Called by failover.sh."""

import asyncio
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cluster import NODES, Cluster, eventually
from network import free_ports, http
from visitors import Load, Visitor, revived

VISITORS = 64
# For a quick look: VISITS=1000 cargo dev lab failover
VISITS = int(os.environ.get("VISITS", 50_000))
PROGRAM = sys.argv[1]


class App:
    """A replica of the app."""

    def __init__(self, work, name, database_port, authority):
        (self.port,) = free_ports(1)
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": f"postgres://app:password@127.0.0.1:{database_port}/app?sslmode=verify-ca&sslrootcert={authority}",
            "SESSION_SECRET": "a secret of the failover test and of nothing else",
            "BIND_ADDRESS": f"127.0.0.1:{self.port}",
            "COOKIE_SECURE": "false",
            "NEW_SESSIONS_PER_MINUTE": "0",
            "WORKERS": "1",
            "LOG_FORMAT": "json",
            "RUST_LOG": "warn,app=warn",
        }
        log = (work / f"{name}.log").open("w")
        self.process = subprocess.Popen([PROGRAM], env=environment, stdout=log, stderr=log, cwd=work)

    def is_ready(self):
        return http(f"http://127.0.0.1:{self.port}/health/ready")[0] == 200

    def stop(self):
        self.process.terminate()
        self.process.wait(20)


def check(what, holds, detail=""):
    print(f"{'ok' if holds else 'FAILED'}  {what}{detail and f': {detail}'}", flush=True)
    if not holds:
        sys.exit(1)


class Run:
    """A cluster, three replicas and their visitors."""

    def __init__(self, work):
        self.apps = []
        self.direct = {}
        self.load = self.thread = None
        self.cluster = Cluster(work)

    def start(self, synchronous):
        work = self.cluster.work
        self.cluster.start_all(synchronous)
        self.cluster.wait_for_standby("sync_standby" if synchronous else "replica")
        self.cluster.sql("create role app login password 'password'")
        self.cluster.sql("create database app owner app")
        self.cluster.assert_protected()
        authority = self.cluster.tls / "ca.pem"
        self.apps = [App(work, f"app{number}", self.cluster.port, authority) for number in (1, 2, 3)]
        # Asks one server only, whether it is the leader or not.
        self.direct = {node: App(work, f"direct-{node}", port, authority) for node, port in self.cluster.postgres.items()}
        for app in self.apps:
            eventually("the app is ready", 30, app.is_ready)
        self.load = Load([app.port for app in self.apps])
        self.thread = threading.Thread(target=lambda: asyncio.run(self.visit()))
        self.thread.start()

    async def visit(self):
        visitors = (Visitor(self.load, number).run() for number in range(VISITORS))
        await asyncio.gather(*visitors, *(self.load.send_plain(app.port) for app in self.apps))

    def visits_until(self, number, seconds):
        eventually(f"{number} visits", seconds, lambda: self.load.acknowledged >= number)

    def fault(self, name, cause, recovered):
        """Causes a fault, waits until everything is as before, and reports."""
        self.load.reset()
        before = self.load.acknowledged
        cause()
        eventually(f"{name}: the visitors notice", 60, lambda: self.load.failed > 0)
        recovered()
        for app in self.apps:
            eventually(f"{name}: the replicas are ready again", 10, app.is_ready)
        self.visits_until(self.load.acknowledged + 1000, 60)
        load = self.load
        print(
            f"    {name}: {load.acknowledged - before} visits, {load.failed} answers of 503 (the slowest after "
            f"{load.slowest_failure:.1f} s), longest outage {load.longest_outage:.1f} s",
            flush=True,
        )

    def finish(self):
        self.load.stopping = True
        self.thread.join(30)
        check("all visitors have stopped", not self.thread.is_alive())
        return asyncio.run(revived(self.load))

    def stop(self):
        if self.thread:
            self.load.stopping = True
            self.thread.join(30)
        for app in [*self.apps, *self.direct.values()]:
            app.stop()
        self.cluster.stop()


def lose_the_leader(run):
    run.lost = run.cluster.leader()
    run.cluster.lose(run.lost)


def restore_the_lost(run, role):
    run.cluster.wait_for_leader(60)
    run.cluster.start_node(run.lost)
    run.cluster.wait_for_standby(role)


def demote_by_switchover(run):
    former = run.cluster.switch_over()
    eventually("the new leader is ready", 30, lambda: any(a.is_ready() for n, a in run.direct.items() if n != former))
    status = [http(f"http://127.0.0.1:{run.direct[former].port}/health/ready")[0] for _ in range(3)]
    check("the app on a demoted leader is not ready", status == [503] * 3, status)


def cut_the_leader(run):
    run.lost = run.cluster.leader()
    run.cluster.cut(run.lost)


def reconnect(run):
    eventually("the other node leads", 60, lambda: run.cluster.leader() not in (None, run.lost))
    run.cluster.connect(run.lost)
    run.cluster.wait_for_standby("sync_standby")


def synchronous(run):
    cluster = run.cluster
    run.fault("kill -9 of the leader", lambda: lose_the_leader(run), lambda: restore_the_lost(run, "sync_standby"))
    run.fault("switchover", lambda: demote_by_switchover(run), lambda: cluster.wait_for_standby("sync_standby"))
    run.fault("the leader is cut off from etcd", lambda: cut_the_leader(run), lambda: reconnect(run))
    run.visits_until(VISITS, 240)
    revived = run.finish()
    load = run.load
    check("no acknowledged visit is lost", load.lost == 0, f"{load.lost} of {load.acknowledged}")
    check("no ended session is valid again", revived == 0, f"{revived} of {len(load.ended)} that were logged out")
    problems = load.problems + load.late()
    check("every failure is a 503 in time", not problems, "\n  ".join(problems))
    slowest = max(until - since for _, since, until in load.plain)
    print(f"    the slowest of {len(load.plain)} requests without the database took {slowest:.2f} s")
    check("no replica was restarted", all(app.process.poll() is None for app in run.apps))
    stored = int(cluster.sql("select coalesce(sum(visits), 0) from visitors", "app"))
    print(f"    {load.acknowledged} visits were acknowledged; returning visitors have {stored} in the table")


def asynchronous(run):
    run.visits_until(2000, 60)
    run.fault("kill -9 of the leader", lambda: lose_the_leader(run), lambda: restore_the_lost(run, "replica"))
    run.finish()
    load = run.load
    check("without synchronous_mode, visits are lost", load.lost > 0, f"{load.lost} of {load.acknowledged}")


def main():
    with tempfile.TemporaryDirectory() as directory:
        for scenario in (synchronous, asynchronous):
            print(f"== {scenario.__name__} replication", flush=True)
            begin = time.monotonic()
            work = Path(directory) / scenario.__name__
            work.mkdir()
            run = Run(work)
            try:
                run.start(scenario is synchronous)
                scenario(run)
            except BaseException:
                for log in sorted(work.glob("*.log")):
                    print(f"--- {log.name}", *log.read_text().splitlines()[-8:], sep="\n", file=sys.stderr)
                raise
            finally:
                run.stop()
            print(f"    took {time.monotonic() - begin:.0f} s", flush=True)


main()
