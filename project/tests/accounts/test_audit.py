"""The audit trail: a row for every event, in the transaction of its operation."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar

import jwt
import pytest
import time_machine
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from project.accounts import audit, lifecycle, signing_keys, throttle
from project.accounts.actors import COMMAND
from project.accounts.audit import Event
from project.accounts.signing_keys import source
from project.clock import utcnow
from project.extensions import db, transaction
from project.models import AuditEvent, Session, User
from project.security.rate_limit import Limit
from project.tests.base import BaseTestCase
from project.tests.support import captured_logs
from project.tests.support.paths import ROOT
from project.tests.utils import PASSWORD, Reply

DOCS = ROOT / "docs" / "logs.md"
EMAIL = "michael@example.com"
BROWSER = "Mozilla/5.0"
Expected = tuple[Event, int | None, dict[str, str | int]]


class AuditCase(BaseTestCase):
    """Reads the audit trail."""

    def events(self) -> Sequence[AuditEvent]:
        """Return what was recorded, in order."""
        with self.app.app_context():
            return db.session.scalars(select(AuditEvent).order_by(AuditEvent.id)).all()

    def assert_recorded(self, *expected: Expected) -> None:
        """Assert that the trail contains these events: name, user and details."""
        found = [(row.event, row.user_id, row.details) for row in self.events()]
        self.assertEqual(found, list(expected))

    def login_as_browser(self, password: str = PASSWORD, email: str = EMAIL) -> Reply:
        """Log in with the user agent of a browser."""
        payload = {"email": email, "password": password}
        return self.caller.call("POST", "/auth/login", payload, **{"User-Agent": BROWSER})


class TestAudit(AuditCase):
    """Event by event."""

    def test_a_login_is_recorded_with_session_and_client(self) -> None:
        user_id = self.add_user()
        before = utcnow()
        self.login_as_browser()
        (row,) = self.events()
        with self.app.app_context():
            session_id = db.session.scalars(select(Session.id)).one()
        self.assertEqual((row.event, row.user_id), ("login.succeeded", user_id))
        self.assertEqual(
            (row.session_id, row.address, row.user_agent), (session_id, "127.0.0.1", BROWSER)
        )
        self.assertTrue(before <= row.at <= utcnow())

    def test_the_log_has_the_session_id_of_the_tokens(self) -> None:
        self.add_user()
        with self.assertLogs("project.accounts.audit", "INFO") as logged:
            token = self.caller.login().body["auth_token"]
        sid = jwt.decode(token, options={"verify_signature": False})["sid"]
        self.assertEqual(vars(logged.records[0])["session_id"], sid)

    def test_a_failed_login_records_the_account_if_it_exists(self) -> None:
        user_id = self.add_user()
        self.login_as_browser("wrong")
        self.login_as_browser(email=PASSWORD)
        self.assert_recorded((Event.LOGIN_FAILED, user_id, {}), (Event.LOGIN_FAILED, None, {}))
        for row in self.events():
            self.assertNotIn(PASSWORD, str(vars(row)))

    def test_a_registration_is_recorded(self) -> None:
        self.caller.register()
        (row,) = self.events()
        self.assertEqual(row.event, "user.registered")
        self.assertIsNotNone(row.session_id)

    def test_a_login_of_a_user_who_is_deleted_meanwhile_is_recorded_as_failed(self) -> None:
        user_id = self.add_user()

        def check(*_: object) -> bool:
            self.delete_user(user_id)
            return True

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(User, "check_password", check)
            self.assertEqual(self.login_as_browser().status, 404)
        self.assert_recorded((Event.LOGIN_FAILED, user_id, {}))

    def test_a_logout_is_recorded(self) -> None:
        user_id = self.add_user()
        self.caller.logout(self.add_token(user_id))
        self.assert_recorded((Event.SESSION_ENDED, user_id, {}))

    def test_the_end_of_a_session_by_its_id_is_recorded(self) -> None:
        user_id = self.add_user()
        token = self.add_token(user_id)
        (session,) = self.caller.get("/auth/sessions", token).body["data"]["sessions"]
        self.caller.call("DELETE", f"/auth/sessions/{session['id']}", token=token)
        self.assert_recorded((Event.SESSION_ENDED, user_id, {}))

    def test_a_logout_of_several_sessions_is_one_event_with_their_count(self) -> None:
        user_id = self.add_user()
        token, *_ = (self.add_token(user_id) for _ in range(3))
        for scope in ("others", "all"):
            self.caller.post("/auth/logout", {"scope": scope}, token)
        self.assert_recorded(
            (Event.SESSIONS_ENDED, user_id, {"scope": "others", "count": 2}),
            (Event.SESSIONS_ENDED, user_id, {"scope": "all", "count": 1}),
        )

    def test_an_operation_without_effect_is_not_recorded(self) -> None:
        token = self.add_token(self.add_user())
        with captured_logs.captured() as written:
            reply = self.caller.post("/auth/logout", {"scope": "others"}, token)
            self.assertEqual(reply.status, 200)
            with self.app.app_context():
                lifecycle.activate(EMAIL)
                throttle.clear("nobody@example.com")
        self.assertEqual(self.events(), [])
        self.assertEqual([one["message"] for one in written.objects], ["request completed"])

    def test_a_second_deactivation_is_not_recorded(self) -> None:
        user_id = self.add_user()
        with self.app.app_context():
            for _ in range(2):
                lifecycle.deactivate(EMAIL)
        self.assert_recorded((Event.USER_DEACTIVATED, user_id, {"sessions_ended": 0}))

    def test_the_session_of_an_inactive_user_ends_when_it_starts(self) -> None:
        user_id = self.add_user(active=False)
        self.assertEqual(self.login_as_browser().status, 200)
        self.assert_recorded(
            (Event.LOGIN_SUCCEEDED, user_id, {}),
            (Event.SESSIONS_ENDED, user_id, {"scope": "inactive", "count": 1}),
        )

    def test_a_second_logout_is_not_recorded(self) -> None:
        token = self.add_token(self.add_user())
        self.caller.logout(token)
        self.assertEqual(self.caller.logout(token).status, 401)
        self.assertEqual(len(self.events()), 1)

    def test_reuse_of_a_refresh_token_is_recorded(self) -> None:
        stale = self.caller.register().body["refresh_token"]
        for _ in range(2):
            fresh = self.caller.post("/auth/refresh", {"refresh_token": stale})
        self.caller.post("/auth/refresh", {"refresh_token": fresh.body["refresh_token"]})
        self.assertEqual(self.caller.post("/auth/refresh", {"refresh_token": stale}).status, 401)
        registered, reused = self.events()
        self.assertEqual(reused.event, "refresh_token.reused")
        self.assertEqual((reused.session_id, reused.address), (registered.session_id, "127.0.0.1"))

    def test_an_account_created_by_an_administrator_is_recorded(self) -> None:
        admin = self.add_user(admin=True)
        payload = {"username": "ada", "email": "ada@example.com", "password": "correct horse"}
        self.caller.post("/users", payload, self.add_token(admin))
        (row,) = self.events()
        self.assertEqual((row.event, row.details), ("user.created", {"admin": False, "by": admin}))
        self.assertNotEqual(row.user_id, admin)

    def test_events_of_commands_remain_after_the_deletion_of_the_account(self) -> None:
        user_id = self.add_user()
        self.add_token(user_id)
        with self.app.app_context():
            lifecycle.deactivate(EMAIL)
            lifecycle.activate(EMAIL)
            lifecycle.remove(EMAIL)
        self.assert_recorded(
            (Event.USER_DEACTIVATED, user_id, {"sessions_ended": 1}),
            (Event.USER_ACTIVATED, user_id, {}),
            (Event.USER_DELETED, user_id, {"sessions_ended": 0}),
        )
        self.assertEqual({row.user_agent for row in self.events()}, {"command"})

    def test_a_rollback_leaves_neither_row_nor_log_line(self) -> None:
        self.add_user()

        def fail(*_: object) -> None:
            raise OperationalError("COMMIT", {}, Exception("gone"))

        sqlalchemy_event.listen(db.session, "before_commit", fail)
        self.addCleanup(sqlalchemy_event.remove, db.session, "before_commit", fail)
        with (
            captured_logs.captured() as written,
            self.app.app_context(),
            pytest.raises(OperationalError),
            transaction(),
        ):
            audit.record(Event.USER_ACTIVATED, COMMAND)
        self.assertEqual(written.objects, [])
        self.assertEqual(self.events(), [])

    def test_an_event_is_logged_after_its_commit(self) -> None:
        with captured_logs.captured() as written, self.app.app_context():
            with transaction():
                audit.record(Event.KEY_RETIRED, COMMAND, kid="abc")
                self.assertEqual(written.objects, [])
            with transaction():
                pass
        (line,) = written.with_message("key.retired")
        self.assertEqual((line["kid"], line["logger"]), ("abc", "project.accounts.audit"))


class TestThrottleAudit(AuditCase):
    """Many rejected attempts are recorded once, not once each."""

    overrides: ClassVar[dict[str, object]] = {
        "THROTTLE_ACCOUNT_NETWORK": Limit(1, timedelta(minutes=15))
    }

    def test_a_backoff_is_recorded_once(self) -> None:
        user_id = self.add_user()
        with time_machine.travel("2026-01-01T00:00Z", tick=False) as clock:
            for wait in (30, 60):
                replies = [self.login_as_browser("wrong").status for _ in range(4)]
                self.assertEqual(replies, [404, 429, 429, 429])
                clock.shift(wait)
        failed: Expected = (Event.LOGIN_FAILED, user_id, {})
        refused: Expected = (Event.ATTEMPT_THROTTLED, user_id, {"scope": "account-network"})
        self.assert_recorded(failed, refused, failed, refused)

    def test_clearing_counters_is_recorded(self) -> None:
        self.add_user()
        self.login_as_browser("wrong")
        with self.app.app_context():
            throttle.clear(EMAIL)
        self.assertEqual(
            (self.events()[-1].event, self.events()[-1].details),
            ("throttle.cleared", {"count": 2}),
        )


class TestKeyAudit(AuditCase):
    """Keys that are made and retired."""

    overrides: ClassVar[dict[str, object]] = {"TOKEN_ALGORITHM": "ES256"}

    def test_creation_and_retirement_of_keys_are_recorded(self) -> None:
        with self.app.app_context():
            source.current().signing_key()
            kid = source.current().signing_key().key_id
            source.current().rotate(utcnow(), COMMAND)
            signing_keys.retire(str(kid))
        first, second, retired = self.events()
        self.assertEqual((first.event, first.user_agent), ("key.rotated", "service"))
        self.assertEqual((second.event, second.user_agent), ("key.rotated", "command"))
        self.assertEqual((retired.event, retired.details), ("key.retired", {"kid": kid}))

    def test_a_second_retirement_of_a_key_is_not_recorded(self) -> None:
        with self.app.app_context():
            kid = str(source.current().signing_key().key_id)
            for _ in range(2):
                signing_keys.retire(kid)
        self.assertEqual([row.event for row in self.events()], ["key.rotated", "key.retired"])

    def test_the_retirement_of_an_unknown_key_is_not_recorded(self) -> None:
        with self.app.app_context(), pytest.raises(signing_keys.UnknownKey):
            signing_keys.retire("nothing")
        self.assertEqual(self.events(), [])


@pytest.mark.any_database
def test_every_event_is_documented() -> None:
    """Assert that the docs list every event."""
    rows = re.findall(r"(?m)^\| `([a-z_]+\.[a-z]+)` \| ", DOCS.read_text())
    assert rows == [event.value for event in Event]


@pytest.mark.any_database
def test_every_event_is_named_by_subject_and_past_tense() -> None:
    """Assert that every event is named `subject.past_tense`, and its member accordingly."""
    for event in Event:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)?\.([a-z]+ed|sent)", event), event
        assert event.name == event.replace(".", "_").upper()
