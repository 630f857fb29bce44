"""A user's sessions: the list, ending one, some or all, and the cap."""

from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import uuid4

import time_machine
from sqlalchemy import text

from project.accounts import sessions
from project.accounts.actors import COMMAND
from project.accounts.sessions import last_seen
from project.extensions import db
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.support.contract import INACTIVE_USER, INVALID_TOKEN, MISSING_TOKEN
from project.tests.utils import Reply

LATER = datetime(2030, 11, 22, 12, 0, 30, tzinfo=UTC)


class SessionsCase(BaseTestCase):
    """A user with three sessions, and another with one."""

    overrides: ClassVar[dict[str, object]] = {"TOKEN_EXPIRATION_SECONDS": 3600}

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        self.add_user("another", "another@example.com")
        self.mine = [self.caller.login().body["auth_token"] for _ in range(3)]
        self.other = self.caller.login("another@example.com").body["auth_token"]

    def listed(self, token: str) -> list[dict[str, object]]:
        """Return the sessions that this token's user is shown."""
        reply = self.caller.get("/auth/sessions", token)
        listed: list[dict[str, object]] = self.assert_success(reply, 200)["data"]["sessions"]
        return listed

    def current(self, token: str) -> str:
        """Return the id of this token's session."""
        (session,) = (session for session in self.listed(token) if session["current"])
        return str(session["id"])

    def alive(self) -> list[bool]:
        """Return for each of my tokens, and the other user's, whether it is accepted."""
        return [self.caller.status(token).status == 200 for token in (*self.mine, self.other)]

    def logout(self, payload: object, token: str | None = None) -> Reply:
        """Log out by POST, with my first token where no other is given."""
        return self.caller.post("/auth/logout", payload, token or self.mine[0])


class TestSessionList(SessionsCase):
    """GET /auth/sessions."""

    def test_only_the_callers_sessions_are_listed(self) -> None:
        listed = self.listed(self.mine[1])
        self.assertEqual(len(listed), 3)
        self.assertEqual([session["current"] for session in listed].count(True), 1)
        self.assertEqual(
            sorted(listed[0]),
            ["address", "created_at", "current", "id", "last_seen_at", "user_agent"],
        )

    def test_the_list_uses_the_index_of_open_sessions(self) -> None:
        explain, prepare = "EXPLAIN", "SET LOCAL enable_seqscan = off"
        if databases.kind() == "sqlite":
            explain, prepare = "EXPLAIN QUERY PLAN", "SELECT 1"
        asked = "SELECT id FROM sessions WHERE user_id = 1 AND ended_at IS NULL"
        with self.app.app_context():
            db.session.execute(text(prepare))
            plan = db.session.execute(text(f"{explain} {asked}")).all()
        self.assertIn("ix_sessions_user_id_ended_at", str(plan))

    def test_a_session_has_the_address_and_user_agent_of_the_login(self) -> None:
        payload = {"email": "michael@example.com", "password": "greaterthaneight"}
        agent = {"User-Agent": "Browser/1.0 \x7f" + "x" * 300}
        token = self.caller.call("POST", "/auth/login", payload, **agent).body["auth_token"]
        (session,) = (session for session in self.listed(token) if session["current"])
        self.assertEqual(session["address"], "127.0.0.1")
        self.assertEqual(session["user_agent"], "Browser/1.0 " + "x" * 187)

    def test_the_most_recently_seen_session_comes_first(self) -> None:
        with time_machine.travel(LATER, tick=False) as clock:
            first = self.caller.login().body["auth_token"]
            clock.shift(timedelta(minutes=1))
            second = self.caller.login().body["auth_token"]
            clock.shift(timedelta(minutes=4))
            self.caller.status(first)
            listed = self.listed(second)
            self.assertEqual([session["current"] for session in listed], [True, False])
            clock.shift(timedelta(minutes=1))
            listed = self.listed(first)
        self.assertEqual([session["current"] for session in listed], [True, False])
        self.assertEqual(listed[0]["created_at"], "2030-11-22T12:00:30Z")
        self.assertEqual(listed[0]["last_seen_at"], "2030-11-22T12:06:00Z")
        self.assertEqual(listed[1]["last_seen_at"], "2030-11-22T12:05:00Z")

    def test_no_session_is_last_seen_before_it_was_created(self) -> None:
        with time_machine.travel(LATER, tick=False):
            token = self.caller.login().body["auth_token"]
            (session,) = (session for session in self.listed(token) if session["current"])
        self.assertEqual(session["last_seen_at"], "2030-11-22T12:00:30Z")
        self.assertEqual(session["created_at"], session["last_seen_at"])

    def test_ended_and_expired_sessions_are_not_listed(self) -> None:
        self.caller.logout(self.mine[0])
        self.add_token(self.user_id, age=timedelta(hours=1))
        self.assertEqual(len(self.listed(self.mine[1])), 2)

    def test_the_list_requires_a_token(self) -> None:
        reply = self.caller.get("/auth/sessions")
        self.assert_error(reply, 401, MISSING_TOKEN, "token_missing")

    def test_a_failing_flush_of_last_seen_is_only_logged(self) -> None:
        notes = last_seen.LastSeen(self.app)
        notes.touch(uuid4())
        with self.app.app_context():
            db.session.execute(db.text("ALTER TABLE sessions RENAME TO elsewhere"))
            db.session.commit()
            try:
                with self.assertLogs("project.accounts.sessions.last_seen") as logs:
                    notes.flush()
            finally:
                db.session.execute(db.text("ALTER TABLE elsewhere RENAME TO sessions"))
                db.session.commit()
        self.assertIn("lost the last-seen times of 1 sessions", logs.output[0])
        notes.flush()


class TestEndingSessions(SessionsCase):
    """One by its id, or by the scope of a logout."""

    def end(self, session_id: str, token: str | None = None) -> Reply:
        """End a session by its id, with my first token where no other is given."""
        return self.caller.call(
            "DELETE", f"/auth/sessions/{session_id}", token=token or self.mine[0]
        )

    def test_a_session_of_the_caller_can_be_ended(self) -> None:
        reply = self.end(self.current(self.mine[1]))
        self.assert_success(reply, 200, "Session ended.")
        self.assertEqual(self.alive(), [True, False, True, True])

    def test_a_session_of_another_user_is_not_found(self) -> None:
        theirs, mine = self.current(self.other), self.current(self.mine[2])
        self.end(mine)
        for session_id in (theirs, mine, str(uuid4()), "x", "1", "%00", "0" * 32):
            reply = self.end(session_id)
            self.assert_error(reply, 404, "Session does not exist.", "session_not_found")
        self.assertEqual(self.alive(), [True, True, False, True])

    def test_a_logout_without_a_scope_is_local(self) -> None:
        for number, payload in enumerate((None, {}, {"scope": "local"})):
            reply = self.logout(payload, self.mine[number])
            self.assert_success(reply, 200, "Successfully logged out.")
            self.assertEqual(self.alive()[: number + 1], [False] * (number + 1))
            self.assertTrue(all(self.alive()[number + 1 :]))

    def test_a_logout_of_the_others_keeps_this_session(self) -> None:
        self.assert_success(self.logout({"scope": "others"}), 200, "Successfully logged out.")
        self.assertEqual(self.alive(), [True, False, False, True])

    def test_a_logout_of_all_ends_every_session(self) -> None:
        self.assert_success(self.logout({"scope": "all"}), 200, "Successfully logged out.")
        self.assertEqual(self.alive(), [False, False, False, True])

    def test_an_unknown_scope_ends_nothing(self) -> None:
        for scope in ("everywhere", "", "ALL", 1, None, ["all"]):
            self.assert_field_errors(self.logout({"scope": scope}), ("scope", "unknown_choice"))
        self.assertEqual(self.alive(), [True] * 4)

    def test_a_logout_by_post_has_the_errors_of_the_one_by_get(self) -> None:
        reply = self.caller.post("/auth/logout")
        self.assert_error(reply, 403, MISSING_TOKEN, "token_missing")
        reply = self.logout(None, "x")
        self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")
        self.set_user(self.user_id, active=False)
        self.assert_error(self.logout(None), 401, INACTIVE_USER, "user_inactive")

    def test_end_all_returns_the_number_of_ended_sessions(self) -> None:
        with self.app.app_context():
            self.assertEqual(sessions.end_all(self.user_id, COMMAND), 3)
            self.assertEqual(sessions.end_all(self.user_id, COMMAND), 0)


class TestSessionCap(SessionsCase):
    """Two sessions a user."""

    overrides: ClassVar = {"MAX_SESSIONS_PER_USER": 2}

    def test_a_login_beyond_the_limit_ends_the_oldest_session(self) -> None:
        self.assertEqual(self.alive(), [False, True, True, True])
        self.caller.login()
        self.assertEqual(self.alive(), [False, False, True, True])

    def test_ended_sessions_do_not_count(self) -> None:
        self.caller.logout(self.mine[1])
        self.caller.login()
        self.assertEqual(self.alive(), [False, False, True, True])
