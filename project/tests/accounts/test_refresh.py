"""Refresh tokens: two tabs may share one, and reuse after that ends the session."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import ClassVar

import pytest
import time_machine
from sqlalchemy import select, update

from project.accounts.sessions.refresh import MAX_GRACE_RESPONSES
from project.extensions import db
from project.models import AuditEvent, Session
from project.tests.base import BaseTestCase, empty_tables
from project.tests.support import captured_logs, databases, servers
from project.tests.support.contract import EXPIRED_TOKEN, INACTIVE_USER, INVALID_TOKEN
from project.tests.utils import OverHTTP, Reply

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CROWD = 50
EMAIL, PASSWORD = "michael@example.com", "greaterthaneight"


class RefreshCase(BaseTestCase):
    """Helpers for sessions that are refreshed."""

    def refresh(self, token: str) -> Reply:
        """Refresh by a token."""
        return self.caller.post("/auth/refresh", {"refresh_token": token})

    def refreshed(self, token: str) -> dict[str, str]:
        """Refresh by a good token; return the new tokens."""
        body: dict[str, str] = self.assert_success(
            self.refresh(token), 200, "Successfully refreshed."
        )
        return body

    def generation(self) -> int:
        """Return the generation of the one session that there is."""
        with self.app.app_context():
            return db.session.scalars(select(Session.generation)).one()


class TestRefresh(RefreshCase):
    """With a clock that stands still unless it is moved."""

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        self.clock = self.enterContext(time_machine.travel(NOON, tick=False))
        self.first = self.caller.login().body

    def assert_ended(self, *tokens: str) -> None:
        """Assert that the session has ended and its tokens are rejected."""
        for token in tokens:
            self.assert_error(self.caller.status(token), 401, INVALID_TOKEN, "session_ended")
        reply = self.refresh(self.first["refresh_token"])
        self.assert_error(reply, 401, INVALID_TOKEN, "session_ended")

    def test_login_and_registration_return_a_refresh_token(self) -> None:
        self.assertEqual(self.first["refresh_expires_in"], 60 * 24 * 3600)
        body = self.caller.register().body
        self.assertEqual(self.refresh(body["refresh_token"]).status, 200)

    def test_a_refresh_returns_new_tokens_of_the_same_session(self) -> None:
        body = self.refreshed(self.first["refresh_token"])
        self.assertNotEqual(body["auth_token"], self.first["auth_token"])
        self.assertNotEqual(body["refresh_token"], self.first["refresh_token"])
        self.assertEqual(body["token_type"], "Bearer")
        self.assertEqual(self.caller.status(body["auth_token"]).status, 200)
        self.assertEqual(self.caller.status(self.first["auth_token"]).status, 200)
        self.assertEqual((self.count(Session), self.generation()), (1, 1))

    def test_a_refresh_token_outlives_the_access_token(self) -> None:
        self.clock.shift(timedelta(days=1))
        reply = self.caller.status(self.first["auth_token"])
        self.assert_error(reply, 401, EXPIRED_TOKEN, "token_expired")
        body = self.refreshed(self.first["refresh_token"])
        self.assertEqual(self.caller.status(body["auth_token"]).status, 200)

    def test_the_previous_token_returns_the_current_tokens_within_the_grace_period(self) -> None:
        second = self.refreshed(self.first["refresh_token"])
        self.clock.shift(timedelta(seconds=30))
        again = self.refreshed(self.first["refresh_token"])
        self.assertEqual(self.generation(), 1)
        third = self.refreshed(again["refresh_token"])
        self.assertEqual(self.generation(), 2)
        self.assertEqual(self.refreshed(second["refresh_token"])["status"], "success")
        self.assertEqual(self.caller.status(third["auth_token"]).status, 200)

    def test_the_previous_token_ends_the_session_after_the_grace_period(self) -> None:
        second = self.refreshed(self.first["refresh_token"])
        self.clock.shift(timedelta(seconds=31))
        reply = self.refresh(self.first["refresh_token"])
        self.assert_error(reply, 401, INVALID_TOKEN, "refresh_reused")
        self.assertIn('error="invalid_token"', reply.headers["WWW-Authenticate"])
        self.assertEqual(self.refresh(second["refresh_token"]).body["code"], "session_ended")

    def test_a_token_of_two_generations_ago_ends_the_session_at_once(self) -> None:
        second = self.refreshed(self.first["refresh_token"])
        third = self.refreshed(second["refresh_token"])
        reply = self.refresh(self.first["refresh_token"])
        self.assert_error(reply, 401, INVALID_TOKEN, "refresh_reused")
        self.assert_ended(self.first["auth_token"], second["auth_token"], third["auth_token"])

    def test_reuse_does_not_end_other_sessions(self) -> None:
        other = self.caller.login().body
        second = self.refreshed(self.first["refresh_token"])
        self.refreshed(second["refresh_token"])
        self.refresh(self.first["refresh_token"])
        self.assertEqual(self.caller.status(other["auth_token"]).status, 200)

    def test_a_refresh_token_is_rejected_after_logout(self) -> None:
        self.caller.logout(self.first["auth_token"])
        self.assert_ended(self.first["auth_token"])

    def test_access_and_refresh_tokens_are_not_interchangeable(self) -> None:
        reply = self.refresh(self.first["auth_token"])
        self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")
        for path in ("/auth/status", "/auth/logout"):
            reply = self.caller.get(path, self.first["refresh_token"])
            self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")

    def test_an_inactive_users_session_is_not_refreshed(self) -> None:
        self.set_user(self.user_id, active=False)
        reply = self.refresh(self.first["refresh_token"])
        self.assert_error(reply, 401, INACTIVE_USER, "user_inactive")
        self.assertEqual(self.generation(), 0)

    def test_a_deleted_users_session_is_not_refreshed(self) -> None:
        self.delete_user(self.user_id)
        self.assert_ended()

    def test_an_idle_session_expires(self) -> None:
        self.clock.shift(timedelta(days=60, seconds=1))
        reply = self.refresh(self.first["refresh_token"])
        self.assert_error(reply, 401, EXPIRED_TOKEN, "token_expired")

    def test_a_refresh_does_not_extend_the_lifetime_of_a_session(self) -> None:
        body = self.first
        for _ in range(6):
            self.clock.shift(timedelta(days=59))
            body = self.refreshed(body["refresh_token"])
        self.assertEqual(body["refresh_expires_in"], (365 - 6 * 59) * 24 * 3600)
        self.clock.shift(timedelta(days=11, seconds=1))
        reply = self.refresh(body["refresh_token"])
        self.assert_error(reply, 401, EXPIRED_TOKEN, "token_expired")

    def test_other_strings_are_rejected(self) -> None:
        for token in ("", "x", "a.b.c", self.first["refresh_token"] + "="):
            reply = self.refresh(token)
            self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")
        self.assert_field_errors(
            self.caller.post("/auth/refresh", {}), ("refresh_token", "missing")
        )
        reply = self.caller.post("/auth/refresh", {"refresh_token": 1})
        self.assert_field_errors(reply, ("refresh_token", "wrong_type"))


class TestGraceResponses(RefreshCase):
    """A token of one generation ago, from networks that a proxy names; the clock stands still."""

    overrides: ClassVar[dict[str, object]] = {
        "TRUSTED_PROXIES": "127.0.0.1",
    }

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        self.clock = self.enterContext(time_machine.travel(NOON, tick=False))
        self.first = self.call_from("192.0.2.1", "/auth/login", email=EMAIL, password=PASSWORD)

    def call_from(self, address: str, path: str, **payload: str) -> Reply:
        """Post from an address."""
        return self.caller.call("POST", path, payload, **{"X-Forwarded-For": address})

    def refresh_from(self, address: str, reply: Reply) -> Reply:
        """Refresh from an address by the token of a reply."""
        token = reply.body["refresh_token"]
        return self.call_from(address, "/auth/refresh", refresh_token=token)

    def events(self) -> list[AuditEvent]:
        """Return what was recorded after the login."""
        with self.app.app_context():
            return list(db.session.scalars(select(AuditEvent).order_by(AuditEvent.id)))[1:]

    def test_a_generation_has_ten_grace_responses_and_the_session_continues(self) -> None:
        second = self.refreshed(self.first.body["refresh_token"])
        replies = [self.refresh(self.first.body["refresh_token"]) for _ in range(12)]
        self.assertEqual([reply.status for reply in replies], [200] * 10 + [409] * 2)
        message = "This refresh token was replaced. Use the current one."
        self.assert_error(replies[-1], 409, message, "refresh_superseded")
        self.refreshed(second["refresh_token"])
        replies = [self.refresh(second["refresh_token"]) for _ in range(11)]
        self.assertEqual([reply.status for reply in replies], [200] * 10 + [409])
        self.assertEqual(self.caller.status(second["auth_token"]).status, 200)

    def test_an_exhausted_token_ends_the_session_after_the_grace_period(self) -> None:
        self.refreshed(self.first.body["refresh_token"])
        for _ in range(11):
            self.refresh(self.first.body["refresh_token"])
        self.clock.shift(timedelta(seconds=31))
        self.assertEqual(
            self.refresh(self.first.body["refresh_token"]).body["code"], "refresh_reused"
        )

    def test_a_grace_response_to_another_network_is_recorded(self) -> None:
        self.refresh_from("198.51.100.7", self.first)
        self.assertEqual(self.refresh_from("192.0.2.1", self.first).status, 200)
        (event,) = self.events()
        self.assertEqual((event.event, event.user_id), ("refresh_token.shared", self.user_id))
        self.assertEqual(event.address, "192.0.2.1")
        self.assertEqual(event.details, {"network": "198.51.100.7"})
        with self.app.app_context():
            self.assertEqual(event.session_id, db.session.scalars(select(Session.id)).one())

    def test_a_grace_response_to_the_same_network_is_not_recorded(self) -> None:
        for reply in (self.first, self.refresh_from("2001:db8::1", self.first)):
            self.refresh_from("2001:db8::1", reply)
        self.assertEqual(self.refresh_from("2001:db8::2", self.first).status, 401)
        self.assertEqual([event.event for event in self.events()], ["refresh_token.reused"])

    def test_a_grace_response_without_a_stored_network_is_not_recorded(self) -> None:
        self.refresh_from("198.51.100.7", self.first)
        with self.app.app_context():
            db.session.execute(update(Session).values(refreshed_network=None))
            db.session.commit()
        self.assertEqual(self.refresh_from("192.0.2.1", self.first).status, 200)
        self.assertEqual(self.events(), [])

    def test_each_use_by_a_thief_within_the_grace_period_is_recorded(self) -> None:
        latest = self.first
        for _ in range(3):
            stolen = self.refresh_from("198.51.100.7", latest)
            self.assertEqual(self.refresh_from("192.0.2.1", latest).status, 200)
            latest = stolen
        self.assertEqual([event.event for event in self.events()], ["refresh_token.shared"] * 3)

    def test_every_refresh_is_logged_with_user_and_session(self) -> None:
        with captured_logs.captured() as written:
            second = self.refresh_from("192.0.2.1", self.first)
            self.refresh_from("192.0.2.1", self.first)
            self.caller.logout(second.body["auth_token"])
            self.refresh_from("192.0.2.1", second)
        logged = [
            line
            for line in written.with_message("request completed")
            if line["route"] == "/auth/refresh"
        ]
        self.assertEqual([line["status"] for line in logged], [200, 200, 401])
        with self.app.app_context():
            session_id = db.session.scalars(select(Session.id)).one().hex
        for line in logged:
            self.assertEqual((line["user_id"], line["session_id"]), (self.user_id, session_id))


@pytest.mark.processes
class TestRefreshingAtOnce(RefreshCase):
    """Fifty at once, over two worker processes."""

    def test_eleven_of_fifty_parallel_refreshes_get_tokens_of_one_generation(self) -> None:
        database = databases.new_database()
        self.app = databases.new_app(database)
        with servers.running("granian", database) as url:
            self.caller = OverHTTP(url)
            with self.app.app_context():
                empty_tables()
            token = self.caller.register().body["refresh_token"]
            with ThreadPoolExecutor(CROWD) as crowd:
                replies = list(crowd.map(lambda _: self.refresh(token), range(CROWD)))
            accepted = [reply for reply in replies if reply.status == 200]
            self.assertEqual(len(accepted), 1 + MAX_GRACE_RESPONSES)
            for reply in accepted:
                self.assertEqual(self.caller.status(reply.body["auth_token"]).status, 200)
            others = {reply.body["code"] for reply in replies if reply.status != 200}
            self.assertEqual(others, {"refresh_superseded"})
            self.assertEqual((self.count(Session), self.generation()), (1, 1))
