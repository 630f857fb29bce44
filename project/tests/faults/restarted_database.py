"""A database that is restarted under load: 503 for as long as it is away, and no longer."""

import time
from collections import Counter
from unittest import TestCase

import pytest

from project.tests.faults.load import Answer, Load, add_members, log_in, register, report
from project.tests.support import databases, postgres, servers
from project.tests.utils import OverHTTP, Reply

ROUNDS = 5
REQUESTS_A_SECOND = 20
QUIET_SECONDS = 3.0
AWAY_SECONDS = 3.0
MAX_WAIT = 5.0
MAX_RECOVERY = 3.0


@pytest.mark.timeout(600)
class TestRestartedDatabase(TestCase):
    """PostgreSQL is stopped as by a crash: connections are cut, and it recovers at its start."""

    def setUp(self) -> None:
        self.database = self.enterContext(postgres.running(fsync="on"))
        add_members(databases.new_app(self.database.url))
        settings = {
            "THROTTLE_REGISTRATION": "1000000/15m",
            "THROTTLE_LOGINS": "1000000/15m",
            "HASH_QUEUE": "100",
        }
        server = self.enterContext(servers.running("granian", self.database.url, **settings))
        self.caller = OverHTTP(server)
        self.token = log_in(self.caller, 0).body["auth_token"]
        calls = [self.status, self.login, self.register]
        self.load = Load(calls, REQUESTS_A_SECOND)
        self.away: list[tuple[float, float]] = []

    def test_requests_meanwhile_get_a_503_and_nothing_is_lost(self) -> None:
        with self.load.running():
            self.load.last(QUIET_SECONDS)
            for _ in range(ROUNDS):
                self.restart()
                self.load.last(MAX_RECOVERY + QUIET_SECONDS)
        registered = [answer.number for answer in self.load.responds if answer.status == 201]
        longest = max(answer.seconds for answer in self.load.responds)
        recoveries = [self.recovery(*gap) for gap in self.away]
        aftermaths = [self.aftermath(*gap) for gap in self.away]
        report(
            f"PostgreSQL restarted {ROUNDS} times under {REQUESTS_A_SECOND} requests a second",
            answers_by_status=dict(Counter(answer.status for answer in self.load.responds)),
            longest_wait_seconds=longest,
            seconds_away=sum(returned_at - stopped_at for stopped_at, returned_at in self.away),
            longest_seconds_from_its_return_to_a_success=max(recoveries),
            longest_seconds_from_its_return_to_the_last_refusal=max(aftermaths),
            registrations_acknowledged=len(registered),
        )
        self.assert_refused_only_while_away()
        self.assertLess(longest, MAX_WAIT)
        self.assertLess(max(recoveries), MAX_RECOVERY)
        for number in registered:
            self.assertEqual(self.caller.login(f"user{number}@example.com").status, 200)

    def status(self, _: int) -> Reply:
        """Look up the user of a token."""
        return self.caller.status(self.token)

    def login(self, number: int) -> Reply:
        """Log in."""
        return log_in(self.caller, number)

    def register(self, number: int) -> Reply:
        """Make the account of this number."""
        return register(self.caller, number)

    def restart(self) -> None:
        """Take the database away for a while."""
        stopped_at = time.monotonic()
        self.database.stop()
        self.load.last(AWAY_SECONDS)
        self.database.start()
        self.away.append((stopped_at, time.monotonic()))

    def recovery(self, stopped_at: float, returned_at: float) -> float:
        """Return the seconds from the database's return to the first success."""
        after = [answer for answer in self.load.responds if answer.began_at > stopped_at + 1]
        return min(answer.ended_at for answer in after if answer.is_good) - returned_at

    def aftermath(self, stopped_at: float, returned_at: float) -> float:
        """Return the seconds from the database's return to the last 503 of this gap."""
        ended_at = returned_at + MAX_RECOVERY + QUIET_SECONDS
        return max(
            answer.ended_at - returned_at
            for answer in self.load.responds
            if answer.status == 503 and stopped_at < answer.ended_at < ended_at
        )

    def assert_refused_only_while_away(self) -> None:
        """Assert that every response in a gap is a 503 and every other a success."""
        self.assertLessEqual({answer.status for answer in self.load.responds}, {200, 201, 503})
        refused = [answer for answer in self.load.responds if answer.status == 503]
        self.assertGreater(len(refused), ROUNDS * AWAY_SECONDS * REQUESTS_A_SECOND / 2)
        self.assertTrue(all(map(self.is_in_a_gap, refused)))

    def is_in_a_gap(self, answer: Answer) -> bool:
        """Return whether the database was away, or had just returned, during this call."""
        return any(
            stopped_at <= answer.ended_at and answer.began_at <= returned_at + MAX_RECOVERY
            for stopped_at, returned_at in self.away
        )
