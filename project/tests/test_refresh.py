"""Refreshing: two tabs are not a thief, and a thief ends the session."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import time_machine
from sqlalchemy import select

from project.api.models import Session
from project.extensions import db
from project.tests import databases, servers
from project.tests.base import BaseTestCase, empty_tables
from project.tests.contract import EXPIRED_TOKEN, INACTIVE_USER, INVALID_TOKEN
from project.tests.utils import OverHTTP, Reply

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
CROWD = 50


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
        """Hold the session and every token of it to be refused."""
        for token in tokens:
            self.assert_refused(self.caller.status(token), 401, INVALID_TOKEN, "session_ended")
        reply = self.refresh(self.first["refresh_token"])
        self.assert_refused(reply, 401, INVALID_TOKEN, "session_ended")

    def test_login_and_registration_give_a_refresh_token(self) -> None:
        self.assertEqual(self.first["refresh_expires_in"], 60 * 24 * 3600)
        body = self.caller.register().body
        self.assertEqual(self.refresh(body["refresh_token"]).status, 200)

    def test_refreshing_gives_new_tokens_of_the_same_session(self) -> None:
        body = self.refreshed(self.first["refresh_token"])
        self.assertNotEqual(body["auth_token"], self.first["auth_token"])
        self.assertNotEqual(body["refresh_token"], self.first["refresh_token"])
        self.assertEqual(body["token_type"], "Bearer")
        self.assertEqual(self.caller.status(body["auth_token"]).status, 200)
        self.assertEqual(self.caller.status(self.first["auth_token"]).status, 200)
        self.assertEqual((self.count(Session), self.generation()), (1, 1))

    def test_refreshing_outlives_the_access_token(self) -> None:
        self.clock.shift(timedelta(days=1))
        reply = self.caller.status(self.first["auth_token"])
        self.assert_refused(reply, 401, EXPIRED_TOKEN, "token_expired")
        body = self.refreshed(self.first["refresh_token"])
        self.assertEqual(self.caller.status(body["auth_token"]).status, 200)

    def test_the_token_of_one_generation_ago_gets_the_current_tokens_for_a_while(self) -> None:
        second = self.refreshed(self.first["refresh_token"])
        self.clock.shift(timedelta(seconds=30))
        again = self.refreshed(self.first["refresh_token"])
        self.assertEqual(self.generation(), 1)
        third = self.refreshed(again["refresh_token"])
        self.assertEqual(self.generation(), 2)
        self.assertEqual(self.refreshed(second["refresh_token"])["status"], "success")
        self.assertEqual(self.caller.status(third["auth_token"]).status, 200)

    def test_after_that_while_it_is_a_theft_and_ends_the_session(self) -> None:
        second = self.refreshed(self.first["refresh_token"])
        self.clock.shift(timedelta(seconds=31))
        reply = self.refresh(self.first["refresh_token"])
        self.assert_refused(reply, 401, INVALID_TOKEN, "refresh_reused")
        self.assertIn('error="invalid_token"', reply.headers["WWW-Authenticate"])
        self.assertEqual(self.refresh(second["refresh_token"]).body["code"], "session_ended")

    def test_two_generations_ago_is_a_theft_at_once(self) -> None:
        second = self.refreshed(self.first["refresh_token"])
        third = self.refreshed(second["refresh_token"])
        reply = self.refresh(self.first["refresh_token"])
        self.assert_refused(reply, 401, INVALID_TOKEN, "refresh_reused")
        self.assert_ended(self.first["auth_token"], second["auth_token"], third["auth_token"])

    def test_a_theft_ends_no_other_session(self) -> None:
        other = self.caller.login().body
        second = self.refreshed(self.first["refresh_token"])
        self.refreshed(second["refresh_token"])
        self.refresh(self.first["refresh_token"])
        self.assertEqual(self.caller.status(other["auth_token"]).status, 200)

    def test_logout_ends_refreshing(self) -> None:
        self.caller.logout(self.first["auth_token"])
        self.assert_ended(self.first["auth_token"])

    def test_an_access_token_does_not_refresh_nor_the_reverse(self) -> None:
        reply = self.refresh(self.first["auth_token"])
        self.assert_refused(reply, 401, INVALID_TOKEN, "token_invalid")
        for path in ("/auth/status", "/auth/logout"):
            reply = self.caller.get(path, self.first["refresh_token"])
            self.assert_refused(reply, 401, INVALID_TOKEN, "token_invalid")

    def test_an_inactive_users_session_is_not_refreshed(self) -> None:
        self.set_user(self.user_id, active=False)
        reply = self.refresh(self.first["refresh_token"])
        self.assert_refused(reply, 401, INACTIVE_USER, "user_inactive")
        self.assertEqual(self.generation(), 0)

    def test_a_deleted_users_session_is_not_refreshed(self) -> None:
        self.delete_user(self.user_id)
        self.assert_ended()

    def test_a_session_that_is_left_alone_ends(self) -> None:
        self.clock.shift(timedelta(days=60, seconds=1))
        reply = self.refresh(self.first["refresh_token"])
        self.assert_refused(reply, 401, EXPIRED_TOKEN, "token_expired")

    def test_no_refreshing_takes_a_session_beyond_its_life(self) -> None:
        body = self.first
        for _ in range(6):
            self.clock.shift(timedelta(days=59))
            body = self.refreshed(body["refresh_token"])
        self.assertEqual(body["refresh_expires_in"], (365 - 6 * 59) * 24 * 3600)
        self.clock.shift(timedelta(days=11, seconds=1))
        reply = self.refresh(body["refresh_token"])
        self.assert_refused(reply, 401, EXPIRED_TOKEN, "token_expired")

    def test_what_is_no_refresh_token(self) -> None:
        for token in ("", "x", "a.b.c", self.first["refresh_token"] + "="):
            reply = self.refresh(token)
            self.assert_refused(reply, 401, INVALID_TOKEN, "token_invalid")
        self.assert_faults(self.caller.post("/auth/refresh", {}), ("refresh_token", "missing"))
        reply = self.caller.post("/auth/refresh", {"refresh_token": 1})
        self.assert_faults(reply, ("refresh_token", "wrong_type"))


class TestRefreshingAtOnce(RefreshCase):
    """Fifty at once, over two worker processes."""

    def test_all_of_fifty_get_tokens_and_the_session_goes_one_generation_on(self) -> None:
        database = databases.new_database()
        self.app = databases.new_app(database)
        with servers.running("granian", database) as url:
            self.caller = OverHTTP(url)
            with self.app.app_context():
                empty_tables()
            token = self.caller.register().body["refresh_token"]
            with ThreadPoolExecutor(CROWD) as crowd:
                replies = list(crowd.map(lambda _: self.refresh(token), range(CROWD)))
            for reply in replies:
                body = self.assert_success(reply, 200, "Successfully refreshed.")
                self.assertEqual(self.caller.status(body["auth_token"]).status, 200)
            self.assertEqual((self.count(Session), self.generation()), (1, 1))
