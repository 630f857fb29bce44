"""A base class for tests of the throttle."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar

import time_machine

from project.security.rate_limit import Limit
from project.tests.base import BaseTestCase
from project.tests.utils import Caller, InProcess, Reply

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LIMITED = "Too many attempts. Try again later."
MICHAEL = "michael@example.com"
WAIT = timedelta(seconds=30)
WINDOW = timedelta(minutes=15)
THREE_ATTEMPTS = Limit(3, WINDOW)


class ClientAt(InProcess):
    """A client with its own address."""

    def __init__(self, caller: Caller, address: str) -> None:
        assert isinstance(caller, InProcess)
        super().__init__(caller.client)
        self.environment = {"REMOTE_ADDR": address}

    def send(self, *request: object) -> Reply:
        """Send a request from this address."""
        self.client.environ_base.update(self.environment)
        return super().send(*request)  # type: ignore[arg-type]  # passed on unchanged


class ThrottleCase(BaseTestCase):
    """Small limits, and a clock that only tests move."""

    overrides: ClassVar[dict[str, object]] = {
        "THROTTLE_ACCOUNT_NETWORK": THREE_ATTEMPTS,
        "THROTTLE_NETWORK": Limit(8, WINDOW),
        "THROTTLE_ACCOUNT": Limit(6, timedelta(days=1)),
        "THROTTLE_REGISTRATION": Limit(4, WINDOW),
    }

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.enterContext(time_machine.travel(NOON, tick=False))
        self.user_id = self.add_user()

    def at(self, address: str) -> Caller:
        """Return a client at this address."""
        return ClientAt(self.caller, address)

    def guess(self, caller: Caller, email: str = MICHAEL) -> int:
        """Log in with a wrong password; return the status."""
        return caller.login(email, "wrong").status

    def guess_until_limited(self, caller: Caller, email: str = MICHAEL) -> int:
        """Log in with wrong passwords until limited; return the number of attempts before."""
        attempts = 0
        while self.guess(caller, email) == 404:
            attempts += 1
        return attempts

    def assert_limited(self, reply: Reply, wait: timedelta, policy: str) -> None:
        """Assert that a response is a 429 with the header fields of this policy."""
        self.assert_error(reply, 429, LIMITED, "rate_limited")
        seconds = str(int(wait.total_seconds()))
        self.assertEqual(reply.headers["Retry-After"], seconds)
        self.assertEqual(reply.headers["RateLimit"], f'"{policy}";r=0;t={seconds}')
        self.assertRegex(reply.headers["RateLimit-Policy"], rf'^"{policy}";q=\d+;w=\d+$')
