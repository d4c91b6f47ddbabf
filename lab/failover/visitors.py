"""Visitors of several replicas of the app. They notice lost visits, and ended sessions that are valid again."""

import asyncio
import re
import time

USER = re.compile(rb'id="visitor">([0-9a-f-]{36})<')
VISITS = re.compile(rb'id="visits">(\d+)<')
# The app must respond within two seconds, even during a failover. The rest is for a busy machine.
DEADLINE = 2.5


class Load:
    """What all visitors have seen together."""

    def __init__(self, ports):
        self.ports = ports
        self.acknowledged = 0
        self.lost = 0
        self.ended = []  # the cookies of all sessions whose logout was acknowledged
        self.problems = []
        self.failures = []  # the port, begin, end and description of each failure
        self.plain = []  # the port, begin and end of each request that doesn't need the database
        self.stopping = False
        self.reset()

    def reset(self):
        """Begins a new count of failures."""
        self.failed = 0
        self.slowest_failure = 0.0
        self.longest_outage = 0.0
        self.last_success = time.monotonic()

    def succeeded(self):
        now = time.monotonic()
        self.longest_outage = max(self.longest_outage, now - self.last_success)
        self.last_success = now
        self.acknowledged += 1

    def late(self):
        """Returns the failures that took too long. On a busy machine, requests that don't need the database wait for
        the app, too. A failure may wait that long twice: before the app reads it, and after the time limit. But it never
        takes more than twice the deadline."""
        late = []
        for port, begin, end, what in self.failures:
            if end - begin > DEADLINE:
                waits = [until - since for at, since, until in self.plain if at == port and since < end and until > begin]
                wait = max(waits, default=0)
                if end - begin > DEADLINE + min(2 * wait, DEADLINE):
                    late.append(f"{what} after {end - begin:.2f} s, while plain requests took {wait:.2f} s")
        return late[:20]

    async def send_plain(self, port):
        """Sends requests that don't need the database, one at a time."""
        client = Visitor(Load([port]), 0)
        while not self.stopping:
            begin = time.monotonic()
            await client.ask("GET", "/health/live", None)
            self.plain.append((port, begin, time.monotonic()))
            await asyncio.sleep(0.05)
        self.problems += client.load.problems
        if client.load.failed:
            self.problem(f"/health/live failed {client.load.failed} times")

    def problem(self, text):
        if len(self.problems) < 20:
            self.problems.append(text)


class Visitor:
    def __init__(self, load, number):
        self.load = load
        self.replica = number
        self.connections = {}
        self.leave()

    def leave(self):
        """Becomes a new visitor."""
        self.cookie = self.user = None
        self.visits = 0
        self.failed = []  # the times of failed visits that may still be counted

    async def send(self, method, path, cookie, headers=""):
        """Sends a request to the next replica. Returns the status, the new cookie and the body."""
        self.replica = (self.replica + 1) % len(self.load.ports)
        port = self.load.ports[self.replica]
        if port not in self.connections:
            self.connections[port] = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = self.connections[port]
        cookie = f"Cookie: {cookie}\r\n" if cookie else ""
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{cookie}\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\ncontent-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        if re.search(rb"(?i)\nconnection: close", head):
            writer.close()
            del self.connections[port]
        new = re.search(rb"(?i)\nset-cookie: (id=[^;\r]*)", head)
        return int(head[9:12]), new and new[1].decode(), body

    async def ask(self, *request):
        """Sends a request. Returns None for a 503, and notes every other failure as a problem."""
        begin = time.monotonic()
        try:
            status, cookie, body = await asyncio.wait_for(self.send(*request), 10)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as error:
            self.load.problem(f"{request[:2]}: no answer ({error!r})")
            self.connections.clear()
            return None
        end = time.monotonic()
        if status in (200, 303):
            return cookie, body
        self.load.failed += 1
        self.load.slowest_failure = max(self.load.slowest_failure, end - begin)
        port = self.load.ports[self.replica]
        self.load.failures.append((port, begin, end, f"{request[:2]}: {status}"))
        if status != 503:
            self.load.problem(f"{request[:2]}: {status}")
        # Waits, as a person who sees an error page would.
        await asyncio.sleep(0.1)
        return None

    async def visit(self):
        answer = await self.ask("GET", "/", self.cookie)
        if answer is None:
            self.failed.append(time.monotonic())
            return
        cookie, body = answer
        user, visits = USER.search(body)[1].decode(), int(VISITS.search(body)[1])
        if self.user and user != self.user:
            # The session is lost, and all its visits with it.
            self.load.lost += self.visits
        elif self.user and visits <= self.visits:
            self.load.lost += self.visits + 1 - visits
        elif visits > self.visits + 1 + len(self.failed):
            self.load.problem(f"{visits} visits after {self.visits} and {len(self.failed)} failures")
        self.load.succeeded()
        # PostgreSQL may get to a failed visit a little later than to this one.
        counted = max(0, visits - self.visits - 1) if user == self.user else len(self.failed)
        self.failed = [failure for failure in self.failed[counted:] if time.monotonic() - failure < 5]
        self.cookie, self.user, self.visits = cookie or self.cookie, user, visits

    async def log_out(self):
        headers = "Sec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n"
        if await self.ask("POST", "/logout", self.cookie, headers):
            self.load.ended.append(self.cookie)
            self.leave()

    async def is_revived(self, cookie):
        """Returns whether a session that has ended can still be used. This page starts no session."""
        for _ in range(100):
            answer = await self.ask("GET", "/visits", cookie)
            if answer is not None:
                return USER.search(answer[1]) is not None
        self.load.problem("an ended session could not be checked")
        return False

    async def run(self):
        while not self.load.stopping:
            if self.visits < 40:
                await self.visit()
            else:
                await self.log_out()


async def revived(load):
    """Replays the cookies of all sessions that were logged out. Returns how many are valid again."""
    checks = Visitor(load, 0)
    return sum([await checks.is_revived(cookie) for cookie in load.ended])
