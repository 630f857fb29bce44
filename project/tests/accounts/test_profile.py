"""GET and PATCH /auth/account: the caller's account, its username and its language."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Barrier
from typing import Any, ClassVar
from unittest import mock

import time_machine
from sqlalchemy import select, true
from sqlalchemy.exc import OperationalError

from project.accounts import email, profile, registration
from project.accounts.actors import COMMAND
from project.clock import utcnow
from project.database import timeouts
from project.errors import UserExists
from project.extensions import autocommit, db, transaction
from project.models import AuditEvent, OneTimeToken, User
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.support.mailbox import MailboxCase
from project.tests.utils import PASSWORD, Reply

ACCOUNT = "/auth/account"
EMAIL = "michael@example.com"
EXISTS = (400, "Sorry. That user already exists.", "user_exists")
CHALLENGE = 'error="insufficient_user_authentication", max_age=600'


class ProfileCase(MailboxCase):
    """Michael, who has just logged in."""

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        self.token = self.caller.login().body["auth_token"]

    def change(self, token: str | None = None, **changes: object) -> Reply:
        """Change the account."""
        return self.caller.call("PATCH", ACCOUNT, changes, token or self.token)

    def account(self) -> Any:
        """Return the account."""
        return self.assert_success(self.caller.get(ACCOUNT, self.token), 200)["data"]


class TestAccount(ProfileCase):
    """The caller's account and its language."""

    def test_the_account_has_all_of_status_and_its_settings_for_mail(self) -> None:
        status = self.caller.status(self.token).body["data"]
        of_mail = {"pending_email": None, "language": None, "mail_refused": False}
        self.assertEqual(self.account(), status | of_mail)
        self.set_user(self.user_id, mail_refused_at=utcnow(), email_verified_at=utcnow())
        self.assertTrue(self.account()["mail_refused"])
        self.assertTrue(self.account()["email_verified"])

    def test_the_pending_address_is_that_of_the_newest_usable_token(self) -> None:
        now, hour = utcnow(), timedelta(hours=1)
        for number, (purpose, expires_at, used_at) in enumerate(
            (
                ("email_change", now + hour, None),
                ("email_change", now + hour, None),
                ("email_change", now + hour, now),
                ("email_change", now - hour, None),
                ("disown_email_changed", now + hour, None),
            )
        ):
            token = OneTimeToken(
                purpose=purpose, user_id=self.user_id, address_key=EMAIL, used_at=used_at,
                new_email=f"new{number}@example.com", expires_at=expires_at,
                created_at=now + timedelta(seconds=number),
            )  # fmt: skip
            with self.app.app_context():
                db.session.add(token)
                db.session.commit()
        self.assertEqual(self.account()["pending_email"], "new1@example.com")

    def test_the_language_is_a_tag_or_null(self) -> None:
        for tag in ("de", "de-AT", "gsw-CH", "zh-Hans"):
            data = self.assert_success(self.change(language=tag), 200)["data"]
            self.assertEqual((data["language"], data["username"]), (tag, "michael"))
        for tag in ("", "DE", "german", "de_AT", "de\n", "de-Latn-AT"):
            self.assert_field_errors(self.change(language=tag), ("language", "not_a_language"))
        self.assertEqual(self.change().status, 200)
        self.assertEqual(self.account()["language"], "zh-Hans")
        self.assertIsNone(self.change(language=None).body["data"]["language"])

    def test_mail_has_the_language_of_the_account(self) -> None:
        self.change(language="de")
        self.caller.post("/auth/password/reset", {"email": EMAIL})
        self.assertIn("Passwort", self.mail("password_reset")["subject"])

    def test_a_change_of_language_requires_no_recent_authentication(self) -> None:
        token = self.add_token(self.user_id)
        self.assertEqual(self.change(token, language="de", username="michael").status, 200)


class TestUsername(ProfileCase):
    """A change of the username."""

    def test_a_change_sends_a_notice_and_is_recorded(self) -> None:
        data = self.assert_success(self.change(username="Mike"), 200)["data"]
        self.assertEqual(data["username"], "Mike")
        self.assertEqual(self.caller.status(self.token).body["data"]["username"], "Mike")
        self.assertEqual(self.events("username.changed"), 1)
        self.assertNotIn("Mike", self.mail("username_changed")["text"])

    def events(self, name: str) -> int:
        """Return how many such events are recorded."""
        with self.app.app_context():
            return db.session.query(AuditEvent).filter_by(event=name, user_id=self.user_id).count()

    def test_the_same_username_again_changes_nothing(self) -> None:
        self.assertEqual(self.change(username="michael").status, 200)
        self.assertEqual(self.change(username=None).status, 200)
        self.assertEqual(self.events("username.changed"), 0)
        self.assertEqual(self.mails(), [])

    def test_a_change_requires_a_recent_authentication(self) -> None:
        login = self.caller.login().body
        with time_machine.travel(utcnow() + timedelta(minutes=11)):
            refreshed = {"refresh_token": login["refresh_token"]}
            token = self.caller.post("/auth/refresh", refreshed).body["auth_token"]
            reply = self.change(token, username="mike")
            message = "Please confirm your password first."
            self.assert_error(reply, 401, message, "reauthentication_required")
            self.assertIn(CHALLENGE, reply.headers["WWW-Authenticate"])
            self.caller.post("/auth/reauthenticate", {"password": PASSWORD}, token)
            self.assertEqual(self.change(token, username="mike").status, 200)

    def test_a_username_is_validated_as_at_registration(self) -> None:
        self.assert_field_errors(self.change(username=""), ("username", "too_short"))
        self.assert_field_errors(
            self.change(username=" x", language="x"),
            ("username", "surrounding_whitespace"),
            ("language", "not_a_language"),
        )
        self.add_user("ada", "ada@example.com")
        self.assert_error(self.change(username="ADA", language="de"), *EXISTS)
        self.assertIsNone(self.account()["language"])

    def test_a_username_that_is_registered_meanwhile_is_not_available(self) -> None:
        self.add_user("ada", "ada@example.com")
        with mock.patch.object(profile, "is_available", return_value=true()):
            self.assert_error(self.change(username="ada"), *EXISTS)

    def test_disowning_the_notice_locks_the_account(self) -> None:
        self.change(username="mike")
        disown = {"token": self.disown_token(self.mail("username_changed"))}
        self.assertEqual(self.caller.post("/auth/disown", disown).status, 200)
        self.assertEqual(self.caller.status(self.token).status, 401)
        self.assertEqual(self.caller.login().status, 404)

    def test_changes_are_limited(self) -> None:
        for number in range(10):
            self.assertEqual(self.change(username=f"mike{number}").status, 200)
        reply = self.change(username="mike")
        self.assert_error(reply, 429, "Too many attempts. Try again later.", "rate_limited")
        self.assertEqual(self.change(language="de").status, 200)


class TestReservation(ProfileCase):
    """The former username."""

    def setUp(self) -> None:
        super().setUp()
        self.change(username="mike")

    def register(self, username: str = "MICHAEL") -> Reply:
        """Register another account with this username."""
        return self.caller.register(username, "other@example.com", PASSWORD)

    def test_no_registration_or_rename_can_use_a_reserved_username(self) -> None:
        self.assert_error(self.register(), *EXISTS)
        admin = self.add_token(self.add_user("admin", "admin@example.com", admin=True))
        payload = {"username": "Michael", "email": "other@example.com", "password": PASSWORD}
        self.assert_error(self.caller.post("/users", payload, admin), *EXISTS)
        token = self.register("other").body["auth_token"]
        self.assert_error(self.change(token, username="michael"), *EXISTS)

    def test_the_owner_can_change_back_to_a_reserved_username(self) -> None:
        self.assertEqual(self.change(username="Michael").status, 200)
        self.assert_error(self.register("mike"), *EXISTS)
        self.assertEqual(self.change(username="mike").status, 200)
        self.assert_error(self.register(), *EXISTS)

    def test_another_spelling_of_the_same_username_reserves_nothing(self) -> None:
        self.change(username="MIKE")
        self.change(username="michael")
        self.delete_user(self.user_id)
        self.assertEqual(self.register().status, 201)

    def test_a_reservation_expires_after_thirty_days(self) -> None:
        with time_machine.travel(utcnow() + timedelta(days=29, hours=23)):
            self.assert_error(self.register(), *EXISTS)
        with time_machine.travel(utcnow() + timedelta(days=30, minutes=1)):
            other = self.register().body["auth_token"]
            self.assertEqual(self.change(other, username="other").status, 200)
            token = self.caller.login().body["auth_token"]
            self.assert_error(self.change(token, username="michael"), *EXISTS)

    def test_a_username_stays_reserved_when_its_account_is_deleted(self) -> None:
        self.delete_user(self.user_id)
        self.assert_error(self.register(), *EXISTS)
        self.assertEqual(self.register("mike").status, 201)


class TestRaces(BaseTestCase):
    """A rename and the creation of accounts at the same time."""

    overrides: ClassVar[dict[str, object]] = {"THROTTLE_ENABLED": False}

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        self.token = self.caller.login().body["auth_token"]

    def rename(self, username: str, token: str | None = None) -> int:
        """Rename an account; return the status."""
        changes = {"username": username}
        return self.caller.call("PATCH", ACCOUNT, changes, token or self.token).status

    def owner(self, username: str) -> int | None:
        """Return the id of the user with this username."""
        with self.app.app_context():
            return db.session.scalar(select(User.id).where(User.username == username))

    def test_nobody_gets_a_username_that_is_being_freed(self) -> None:
        """On PostgreSQL the registration neither waits for the rename nor meets the index."""
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        with mock.patch.object(timeouts, "SQLITE_LOCK_TIMEOUT", 0.05):
            elsewhere = databases.bare_app(url)
        self.addCleanup(self.dispose, elsewhere)
        raised: list[type[Exception]] = []
        real = profile._reserve

        def register(*args: Any) -> None:
            real(*args)
            try:
                with elsewhere.app_context():
                    registration.add_user("michael", "other@example.com", PASSWORD, COMMAND)
            except (UserExists, OperationalError) as error:
                raised.append(type(error))

        with mock.patch.object(profile, "_reserve", register):
            self.assertEqual(self.rename("mike"), 200)
        expected = UserExists if databases.kind() == "postgresql" else OperationalError
        self.assertEqual(raised, [expected])
        self.assertIsNone(self.owner("michael"))

    def dispose(self, app: Any) -> None:
        """Close an app's connections."""
        with app.app_context():
            db.engine.dispose()
            autocommit.engine.dispose()

    def test_a_rename_that_is_rolled_back_frees_no_username(self) -> None:
        with (
            mock.patch.object(email, "notify", side_effect=KeyError),
            suppress(KeyError),
            self.app.app_context(),
            transaction(),
        ):
            profile._rename(profile._lock(self.user_id), "mike", COMMAND)
        self.assertEqual(self.owner("michael"), self.user_id)
        self.assertEqual(self.rename("mike"), 200)

    def test_only_one_of_parallel_requests_gets_a_username(self) -> None:
        tokens = []
        for number in range(3):
            self.add_user(f"user{number}", f"user{number}@example.com")
            tokens.append(self.caller.login(f"user{number}@example.com").body["auth_token"])
        barrier = Barrier(6)

        def take(number: int) -> bool:
            barrier.wait(30)
            if number < len(tokens):
                return self.rename("wanted", tokens[number]) == 200
            return self.caller.register("wanted", f"new{number}@example.com").status == 201

        with ThreadPoolExecutor(6) as crowd:
            taken = list(crowd.map(take, range(6)))
        self.assertEqual(sum(taken), 1, taken)
