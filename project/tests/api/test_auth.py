"""Register, login, logout and status, through Flask's test client."""

from datetime import UTC, datetime, timedelta

import time_machine
from sqlalchemy import text

from project.accounts import sessions
from project.accounts.actors import COMMAND
from project.errors import SessionEnded
from project.extensions import bcrypt, db
from project.models import Session, User
from project.tests import utils
from project.tests.support.contract import EXPIRED_TOKEN, INVALID_TOKEN, USER_EXISTS, AuthContract
from project.tests.utils import PASSWORD


class TestAuthBlueprint(AuthContract):
    """The contract, and what can be shown of it in one process alone."""

    __test__ = True

    def test_two_logins_in_the_same_second_give_two_tokens(self) -> None:
        self.add_user()
        with time_machine.travel(datetime(2026, 11, 22, tzinfo=UTC), tick=False):
            tokens = {self.caller.login().body["auth_token"] for _ in range(2)}
        self.assertEqual(len(tokens), 2)

    def test_of_two_logouts_at_once_one_ends_the_session(self) -> None:
        with self.app.app_context():
            principal = sessions.identify(utils.add_token(utils.add_user().id))
            sessions.end(principal.id, principal.session_id, COMMAND)
            with self.assertRaises(SessionEnded):
                sessions.end(principal.id, principal.session_id, COMMAND)

    def test_logout_leaves_the_users_other_sessions(self) -> None:
        user_id = self.add_user()
        tokens = [self.add_token(user_id) for _ in range(2)]
        self.caller.logout(tokens[0])
        self.assertEqual([self.caller.status(token).status for token in tokens], [401, 200])

    def test_logout_refuses_every_spelling_of_the_token(self) -> None:
        token = self.add_token(self.add_user())
        self.caller.logout(token)
        for spelling in (token, token + "=", f" {token}", f"{token} "):
            self.assertEqual(self.caller.status(spelling).status, 401, spelling)

    def test_a_token_lives_as_long_as_its_client_was_told(self) -> None:
        self.add_user()
        with time_machine.travel(
            datetime(2026, 11, 22, 12, 0, 0, 999999, UTC), tick=False
        ) as clock:
            body = self.caller.login().body
            clock.shift(timedelta(seconds=body["expires_in"]))
            self.assertEqual(self.caller.status(body["auth_token"]).status, 200)
            clock.shift(timedelta(seconds=1))
            reply = self.caller.status(body["auth_token"])
        self.assertEqual(body["expires_in"], 3)
        self.assert_error(reply, 401, EXPIRED_TOKEN, "token_expired")

    def test_a_deleted_users_token_is_refused(self) -> None:
        user_id = self.add_user()
        token = self.add_token(user_id)
        self.delete_user(user_id)
        self.assert_error(self.caller.status(token), 401, INVALID_TOKEN, "session_ended")

    def test_a_deleted_users_token_is_refused_when_the_id_is_used_again(self) -> None:
        user_id = self.add_user()
        token = self.add_token(user_id)
        self.delete_user(user_id)
        self.add_user("another", "another@example.com", id=user_id)
        self.assert_error(self.caller.status(token), 401, INVALID_TOKEN, "session_ended")

    def test_a_session_of_somebody_else_is_refused(self) -> None:
        michael, another = self.add_user(), self.add_user("another", "another@example.com")
        token = self.add_token(michael)
        with self.app.app_context():
            db.session.execute(text("UPDATE sessions SET user_id = :id"), {"id": another})
            db.session.commit()
        self.assert_error(self.caller.status(token), 401, INVALID_TOKEN, "session_ended")

    def test_a_header_without_a_token_is_an_invalid_one(self) -> None:
        for header in ("", "Bearer", "Bearer ", "Basic bWljaGFlbDp0ZXN0", "bearer\t", "token"):
            reply = self.caller.get("/auth/status", Authorization=header)
            self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")
            self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="users"', header)

    def test_the_scheme_has_no_case(self) -> None:
        token = self.add_token(self.add_user())
        reply = self.caller.get("/auth/status", Authorization=f"bEARER {token}")
        self.assertEqual(reply.status, 200)

    def test_an_administrator_is_shown_as_one_in_both_places(self) -> None:
        body = self.caller.status(self.add_token(self.add_user(admin=True))).body
        self.assertEqual((body["admin"], body["data"]["admin"]), (True, True))

    def test_login_knows_neither_case_nor_unicode_form_of_the_address(self) -> None:
        self.add_user(email="Michael@Example.com")
        for email in ("michael@example.com", "MICHAEL@EXAMPLE.COM", "ｍichael@example.com"):
            self.assertEqual(self.caller.login(email).status, 200, email)
        self.assertEqual(self.caller.login(" michael@example.com").status, 404)

    def test_registration_gives_both_names_back_as_typed(self) -> None:
        token = self.caller.register("Ｍichael İ", "Michael@EXAMPLE.com").body["auth_token"]
        data = self.caller.status(token).body["data"]
        self.assertEqual((data["username"], data["email"]), ("Ｍichael İ", "Michael@EXAMPLE.com"))

    def test_registration_refuses_another_form_of_a_taken_name(self) -> None:
        self.add_user("Straße", "strasse@example.com")
        self.add_user("\u0390", "iota@example.com")
        for username, email in (
            ("STRASSE", "a@example.com"),
            ("ｓｔｒａｓｓｅ", "b@example.com"),
            ("\u0390".upper(), "c@example.com"),
            ("another", "STRASSE@example.COM"),
            ("another", "ｓtrasse@example.com"),
        ):
            reply = self.caller.register(username, email)
            self.assert_error(reply, 400, USER_EXISTS, "user_exists")
        self.assertEqual(self.count(User), 2)

    def test_a_refused_registration_leaves_no_session(self) -> None:
        self.add_user("justatest")
        self.caller.register("justatest")
        self.assertEqual(self.count(Session), 0)

    def test_a_password_counts_whole(self) -> None:
        password = "x" * 1000
        self.assertEqual(self.caller.register(password=password).status, 201)
        self.assertEqual(self.caller.login("test@test.com", password).status, 200)
        for wrong in (password[:72], password[:-1], password + "x"):
            self.assertEqual(self.caller.login("test@test.com", wrong).status, 404)

    def test_a_password_may_come_in_another_unicode_form(self) -> None:
        self.caller.register(password="caf\u00e9")
        self.assertEqual(self.caller.login("test@test.com", "cafe\u0301").status, 200)

    def test_a_foreign_hash_matches_no_password(self) -> None:
        user_id = self.add_user()
        for foreign in (
            "",
            "plain",
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZQ$aGFzaA",
            "$2b$12$short",
        ):
            self.set_user(user_id, password=foreign)
            self.assertEqual(self.caller.login(password=PASSWORD).status, 404, foreign)

    def test_a_user_who_is_deleted_while_logging_in_is_unknown(self) -> None:
        user_id = self.add_user()
        check = bcrypt.check_password_hash

        def delete_and_check(*args: str) -> bool:
            self.delete_user(user_id)
            return bool(check(*args))

        self.addCleanup(setattr, bcrypt, "check_password_hash", check)
        bcrypt.check_password_hash = delete_and_check
        reply = self.caller.login()
        self.assert_error(reply, 404, "User does not exist.", "invalid_credentials")
