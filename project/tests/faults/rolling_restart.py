"""Two servers behind nginx, which are restarted one after the other: no request fails."""

import signal
import time
from collections import Counter
from contextlib import ExitStack
from unittest import TestCase

import pytest

from project.tests.faults.load import Load, add_members, answer_to, log_in, register, report
from project.tests.faults.replicas import balanced
from project.tests.support import databases, postgres, servers, small_disk
from project.tests.utils import OverHTTP, Reply

REQUESTS = 2000
REQUESTS_A_SECOND = 80
DATABASE_MEGABYTES = 1024
GRACE = 10.0
"""Seconds that a container has before it is killed."""
MAX_RETRIES = 60.0
MAX_WAIT = 5.0


class Place:
    """A port at which one server is replaced by another one."""

    def __init__(self, settings: dict[str, str]) -> None:
        self.settings = settings
        self.port = postgres.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.running = ExitStack()
        self.start()

    def start(self) -> None:
        """Start a server and return when it is ready."""
        started = servers.process("granian", self.settings, port=self.port)
        self.server, _, _ = self.running.enter_context(started)
        patience = time.monotonic() + MAX_RETRIES
        while answer_to(lambda _: OverHTTP(self.url).get("/health/ready"), 0).status != 200:
            assert time.monotonic() < patience, "the new server is never ready"
            time.sleep(0.05)

    def restart(self) -> None:
        """End the server as an orchestrator does, then start its successor."""
        self.server.send_signal(signal.SIGTERM)
        assert self.server.wait(GRACE) == 0
        self.running.close()
        self.start()


@pytest.mark.timeout(600)
class TestRollingRestart(TestCase):
    """As docs/several-servers.md says it is done, with the configuration that is shown there."""

    def setUp(self) -> None:
        # On a disk to which others write much, a database hangs for seconds: that is a 503.
        folder = self.enterContext(small_disk.in_memory(DATABASE_MEGABYTES))
        url = self.enterContext(postgres.running(folder)).url
        add_members(databases.new_app(url))
        settings = servers.environment(
            url,
            DRAIN_SECONDS="2",
            THROTTLE_REGISTRATION="1000000/15m",
            THROTTLE_LOGINS="1000000/15m",
            HASH_QUEUE="100",
            TRUSTED_PROXIES="127.0.0.1",
        )
        self.places = [Place(settings) for _ in range(2)]
        for place in self.places:
            self.addCleanup(place.running.close)
        balancer = self.enterContext(balanced([place.url for place in self.places]))
        self.caller = OverHTTP(balancer)
        self.token = log_in(self.caller, 0).body["auth_token"]
        self.load = Load([self.status, self.login, self.register], REQUESTS_A_SECOND)
        self.answered_by: Counter[str] = Counter()

    def test_nobody_notices(self) -> None:
        with self.load.running():
            for place in self.places:
                place.restart()
            patience = time.monotonic() + MAX_RETRIES
            while len(self.load.responds) < REQUESTS:
                self.assertLess(time.monotonic(), patience)
                self.load.last(0.1)
        failed = [answer for answer in self.load.responds if not answer.is_good]
        longest = max(answer.seconds for answer in self.load.responds)
        report(
            "Two servers restarted one after the other behind nginx",
            requests=len(self.load.responds),
            failed=dict(Counter(answer.status for answer in failed)),
            longest_wait_seconds=longest,
            found_a_port_closed_and_went_on=sum(
                times for which, times in self.answered_by.items() if "," in which
            ),
        )
        self.assertEqual(failed, [])
        self.assertLess(longest, MAX_WAIT)

    def status(self, _: int) -> Reply:
        """Look up the user of a token."""
        return self.noted(self.caller.status(self.token))

    def login(self, number: int) -> Reply:
        """Log in."""
        return self.noted(log_in(self.caller, number))

    def register(self, number: int) -> Reply:
        """Make the account of this number."""
        return self.noted(register(self.caller, number))

    def noted(self, reply: Reply) -> Reply:
        """Note which servers nginx has tried for this answer; return it."""
        self.answered_by[reply.headers["X-Answered-By"]] += 1
        return reply
