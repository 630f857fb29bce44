"""A base class for tests of a database that does not answer."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask

from project.extensions import autocommit, db
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.utils import InProcess, Reply

UNAVAILABLE = "Service unavailable. Try again later."
MAX_RESPONSE_TIME = 2.5
"""Seconds: two, and a margin for a busy machine."""


class OutageCase(BaseTestCase):
    """Calls the routes that need the database."""

    def assert_unavailable(self, reply: Reply) -> None:
        """Assert that a response is a 503 with Retry-After."""
        self.assert_error(reply, 503, UNAVAILABLE, "unavailable")
        self.assertEqual(reply.headers["Retry-After"], "1")

    def assert_all_unavailable(self, token: str) -> None:
        """Assert that every route that needs the database responds 503 in time, and /ping 200."""
        calls: dict[str, Callable[[], Reply]] = {
            "register": lambda: self.caller.register("new", "new@example.com"),
            "login": self.caller.login,
            "status": lambda: self.caller.status(token),
            "logout": lambda: self.caller.logout(token),
            "users": lambda: self.caller.get("/users", token),
        }
        for name, call in calls.items():
            with self.subTest(name), self.assertLogs("project", logging.ERROR) as logs:
                began = time.monotonic()
                self.assert_unavailable(call())
                self.assertLess(time.monotonic() - began, MAX_RESPONSE_TIME)
                self.assertEqual(len(logs.output[0].splitlines()), 1)
        self.assert_success(self.caller.get("/ping"), 200, "pong!")

    def app_on(self, url: str) -> InProcess:
        """Return a client of an app on this database, which need not exist."""
        self.app = databases.bare_app(url)
        return InProcess(self.app.test_client())


@contextmanager
def closing_connections(app: Flask) -> Iterator[None]:
    """Close the database connections of an app after the block."""
    yield
    with app.app_context():
        db.engine.dispose()
        autocommit.engine.dispose()
