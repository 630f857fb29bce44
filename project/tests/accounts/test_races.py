"""Concurrent operations leave no session active that should have ended."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Barrier
from typing import Any, ClassVar
from unittest import mock

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from project.accounts import lifecycle, registration, sessions
from project.accounts.sessions import refresh
from project.database import timeouts
from project.errors import UserNotFound
from project.extensions import autocommit, db
from project.models import Revocation, Session, User
from project.tests.base import BaseTestCase
from project.tests.support import databases

EMAIL = "michael@example.com"
NEW_EMAIL = "test@test.com"


class RaceCase(BaseTestCase):
    """Counts what is left."""

    overrides: ClassVar[dict[str, object]] = {
        "THROTTLE_ENABLED": False,
        "HASH_QUEUE": 100,
        "MAX_SESSIONS_PER_USER": 5,
    }

    def number_open(self, **user: object) -> int:
        """Return how many sessions of such users are open."""
        counted = select(func.count()).select_from(Session).join(User).filter_by(**user)
        with self.app.app_context():
            return db.session.scalars(counted.where(Session.ended_at.is_(None))).one()

    def assert_ended_sessions_are_in_the_feed(self) -> None:
        """Assert that the feed contains every ended session once."""
        with self.app.app_context():
            ended = db.session.scalars(select(Session.id).where(Session.ended_at.is_not(None)))
            listed = db.session.scalars(select(Revocation.session_id))
            self.assertEqual(sorted(ended), sorted(listed))


@pytest.mark.slow
class TestInterleaved(RaceCase):
    """A command that runs in the middle of a request, between its reading and its writing."""

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        with mock.patch.object(timeouts, "SQLITE_LOCK_TIMEOUT", 0.05):
            self.elsewhere = databases.bare_app(
                url, DATABASE_STATEMENT_TIMEOUT=timedelta(milliseconds=400)
            )
        self.addCleanup(self.dispose)

    def dispose(self) -> None:
        """Close the connections of the app that runs the commands."""
        with self.elsewhere.app_context():
            db.engine.dispose()
            autocommit.engine.dispose()

    @contextmanager
    def running_after(
        self, module: Any, step: str, command: Callable[[str], object], email: str = EMAIL
    ) -> Iterator[mock.Mock]:
        """Run a command elsewhere, as far as it is let, whenever a step of a request is done."""
        real = getattr(module, step)

        def then(*args: Any, **kwargs: Any) -> Any:
            returned = real(*args, **kwargs)
            with suppress(OperationalError, UserNotFound), self.elsewhere.app_context():
                command(email)
            return returned

        with mock.patch.object(module, step, side_effect=then) as patched:
            yield patched

    def test_a_login_during_a_deactivation_or_deletion_leaves_no_session(self) -> None:
        for command in (lifecycle.deactivate, lifecycle.remove):
            with self.running_after(sessions, "_lock_user", command) as step:
                self.assertEqual(self.caller.login().status, 200)
            step.assert_called_once()
            self.assertEqual((self.count(User), self.number_open(active=False)), (1, 0))
            self.assert_ended_sessions_are_in_the_feed()

    def test_a_deactivation_during_the_hashing_leaves_no_session(self) -> None:
        with self.running_after(User, "check_password", lifecycle.deactivate):
            token = self.caller.login().body["auth_token"]
        self.assertEqual(self.caller.status(token).body["code"], "user_inactive")
        self.assertEqual(self.number_open(), 0)
        self.assert_ended_sessions_are_in_the_feed()

    def test_a_refresh_during_a_deactivation_is_rejected(self) -> None:
        token = self.caller.login().body["refresh_token"]
        with self.running_after(sessions, "load_active", lifecycle.deactivate) as step:
            reply = self.caller.post("/auth/refresh", {"refresh_token": token})
        self.assertEqual((reply.status, reply.body["code"]), (401, "user_inactive"))
        self.assertEqual(step.call_count, 2)
        self.assertEqual(self.number_open(), 0)
        self.assert_ended_sessions_are_in_the_feed()

    def test_a_grace_response_during_a_deletion_is_rejected(self) -> None:
        token = self.caller.login().body["refresh_token"]
        self.caller.post("/auth/refresh", {"refresh_token": token})
        with self.running_after(refresh, "_is_reuse", lifecycle.remove):
            reply = self.caller.post("/auth/refresh", {"refresh_token": token})
        self.assertEqual((reply.status, reply.body["code"]), (409, "refresh_superseded"))
        self.assertEqual((self.count(User), self.number_open()), (0, 0))

    def test_a_deactivation_during_a_registration_leaves_no_session(self) -> None:
        for command in (lifecycle.deactivate, lifecycle.remove):
            with self.running_after(registration, "insert_new", command, NEW_EMAIL) as step:
                self.caller.register(command.__name__, NEW_EMAIL)
            step.assert_called_once()
            self.assertEqual(self.number_open(active=False), 0)
            with self.app.app_context():
                lifecycle.remove(NEW_EMAIL)


@pytest.mark.slow
class TestAtOnce(RaceCase):
    """Crowds, in one process."""

    def logins(self, number: int, beside: Callable[[], object] = lambda: None) -> list[int]:
        """Log in so often at once, and do something else beside; return the statuses."""
        barrier = Barrier(number + 1)

        def login(_: int) -> int:
            barrier.wait(30)
            return self.caller.login().status

        with ThreadPoolExecutor(number) as crowd:
            replies = crowd.map(login, range(number))
            barrier.wait(30)
            beside()
            return list(replies)

    def test_a_deactivation_during_logins_ends_all_sessions(self) -> None:
        self.add_user()

        def deactivate() -> None:
            with self.app.app_context():
                lifecycle.deactivate(EMAIL)

        for _ in range(10):
            self.logins(6, beside=deactivate)
            self.assertEqual(self.number_open(), 0)
            with self.app.app_context():
                lifecycle.activate(EMAIL)
        self.assert_ended_sessions_are_in_the_feed()

    def test_a_deletion_during_logins_ends_all_sessions(self) -> None:
        for _ in range(3):
            self.add_user()
            with self.app.app_context():
                statuses = self.logins(6, beside=lambda: lifecycle.remove(EMAIL))
            self.assertLessEqual(set(statuses), {200, 404})
            self.assertEqual(self.count(Session), 0)

    def test_thirty_logins_at_once_stay_within_the_limit_of_sessions(self) -> None:
        self.add_user()
        self.logins(30)
        self.assertEqual(self.number_open(), 5)
        self.assert_ended_sessions_are_in_the_feed()
