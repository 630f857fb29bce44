"""The password policy: weaknesses of new passwords, and logins without checks."""

from pathlib import Path
from typing import ClassVar
from unittest import TestCase, mock

import pytest

from project import config
from project.config import ConfigError
from project.models import User
from project.security.passwords import Policy, Weakness, common_passwords
from project.security.passwords.resemblance import resembles
from project.tests.base import BaseTestCase
from project.tests.support import databases

GOOD = "correct horse battery staple"
SWITCH = "PASSWORD_POLICY"
MICHAEL = ("michael", "michael@example.com")
NAMES = (*MICHAEL, "users")


@pytest.mark.any_database
class TestPolicy(TestCase):
    """The rules, without an app."""

    def weaknesses(self, password: str, min_length: int = 8) -> list[Weakness]:
        """Return the weaknesses of a password of Michael."""
        return Policy(min_length, "users", None).weaknesses(password, *MICHAEL)

    def test_good_passwords_may_have_any_characters(self) -> None:
        for password in (
            GOOD,
            "zqkwvxjh",
            "八つの文字列です",
            "🐢🦊🐙🦉🐝🦋🐞🐸",
            "ab " * 333,
        ):
            self.assertEqual(self.weaknesses(password), [], password)

    def test_the_length_is_that_of_the_normalized_password(self) -> None:
        for password, length in (
            ("zqkwvxj", 7),
            ("🐢🦊🐙🦉🐝🦋🐞", 7),
            ("e\u0301\u0302" * 4, 8),
            ("e\u0301" * 7, 7),
            ("ﬁ" * 4, 8),
        ):
            self.assertEqual(self.weaknesses(password, length), [], password)
            self.assertEqual(self.weaknesses(password, length + 1), [Weakness.TOO_SHORT], password)

    def test_common_passwords_are_rejected_in_any_case(self) -> None:
        for password in ("password1", "PassWord1", "  password1\t", "ｐａｓｓｗｏｒｄ１"):
            self.assertEqual(self.weaknesses(password), [Weakness.COMMON], password)
        self.assertEqual(self.weaknesses("password1 and more"), [])

    def test_every_weakness_is_reported(self) -> None:
        self.assertEqual(
            self.weaknesses("michael", 8),
            [Weakness.TOO_SHORT, Weakness.COMMON, Weakness.RESEMBLES_USER],
        )

    def test_the_list_of_common_passwords_is_complete_and_read_once(self) -> None:
        common_passwords.contain("")
        with mock.patch.object(Path, "read_bytes", side_effect=AssertionError):
            self.assertTrue(common_passwords.contain("brady"))
        listed = common_passwords._load()
        self.assertEqual(len(listed), 19640)
        self.assertEqual({password for password in listed if password.strip() != password}, set())


@pytest.mark.any_database
class TestResemblance(TestCase):
    """Passwords that are a disguised name are rejected, phrases with a name accepted."""

    def test_disguised_names_are_rejected(self) -> None:
        for password in (
            "Michael123!", "m.1.c.h.a.e.l", "leahcim2024", "M1ch43l!!", "MICHAEL-19840312",
            "michaelmichael", "michael & leahcim", "xmichaelx", "m!i!c!h!a!e!l", "ｍｉｃｈａｅｌ99",
            "michael@example.com", "moc.elpmaxe@leahcim", "Users2024!", "u$3r5u$3r5",
            "michael_users", "Michael@Example.com1!",
        ):  # fmt: skip
            self.assertTrue(resembles(password, NAMES), password)

    def test_every_lookalike_is_recognized(self) -> None:
        for sign, letter in ("0o", "1l", "1i", "!i", "3e", "4a", "@a", "5s", "$s", "7t"):
            self.assertTrue(resembles(f"qu{sign}ver77", [f"qu{letter}ver"]), sign)
        self.assertFalse(resembles("qu6ver77", ["quover"]))

    def test_more_than_a_name_is_accepted(self) -> None:
        for password in (
            "michael rows the boat ashore", "michaelhorse", "all our users love tea",
            "michael 7391 4402 8", "michelle99", "12345678", "abc-1234", "m.i.c.h.e.l",
        ):  # fmt: skip
            self.assertFalse(resembles(password, NAMES), password)

    def test_four_more_letters_are_accepted_and_three_are_not(self) -> None:
        self.assertTrue(resembles("michael+abc", NAMES))
        self.assertFalse(resembles("michael+abcd", NAMES))

    def test_nine_more_digits_are_accepted_and_eight_are_not(self) -> None:
        self.assertTrue(resembles("michael12345678", NAMES))
        self.assertFalse(resembles("michael123456789", NAMES))

    def test_a_very_short_name_rejects_only_itself(self) -> None:
        for name in ("a", "al", "🐢", "--"):
            self.assertFalse(resembles("all is well, a turtle said", [name]))
            self.assertFalse(resembles("al123456", [name]))
            self.assertTrue(resembles(name, [name]))

    def test_a_name_of_signs_rejects_only_itself(self) -> None:
        self.assertTrue(resembles("--+--+--", ["--+--+--"]))
        self.assertFalse(resembles("--+--+-+", ["--+--+--"]))

    def test_names_with_digits_and_signs_are_recognized(self) -> None:
        for name, password in (
            ("r2d2", "R2D2-2024"),
            ("P!nk$ter", "pink5ter1"),
            ("O'Brien", "0brien99"),
            ("Straße", "STRASSE1"),
            ("18005551234", "18005551234!"),
        ):
            self.assertTrue(resembles(password, [name]), password)


@pytest.mark.any_database
class TestDefaults(TestCase):
    """The defaults and limits of the settings."""

    def test_the_policy_is_on_in_production_and_staging_only(self) -> None:
        for name, on in (("Production", 1), ("Staging", 1), ("Development", 0), ("Testing", 0)):
            chosen = config.CONFIGS[f"project.config.{name}Config"]
            self.assertEqual(getattr(chosen, SWITCH), bool(on), name)

    def test_the_minimum_length_is_from_8_to_64(self) -> None:
        for value in ("7", "65"):
            environment = {"PASSWORD_MIN_LENGTH": value, "INSTANCE_PATH": str(databases.folder())}
            with self.assertRaisesRegex(ConfigError, "^PASSWORD_MIN_LENGTH .*from 8 to 64"):
                config.load("project.config.TestingConfig", environment=environment)


class TestNewPasswords(BaseTestCase):
    """The policy checks new passwords, and no others."""

    overrides: ClassVar[dict[str, object]] = {
        "PASSWORD_POLICY": True, "PASSWORD_MIN_LENGTH": 10, "SERVICE_NAME": "Gazette",
    }  # fmt: skip

    def test_a_rejected_registration_lists_every_reason(self) -> None:
        reply = self.caller.register("ada", "ada@example.com", "password")
        self.assert_field_errors(
            reply, ("password", "password_too_short"), ("password", "password_common")
        )
        self.assertEqual(
            [error["message"] for error in reply.body["errors"]],
            [
                "This needs at least 10 characters.",
                "This password is too common.",
            ],
        )
        self.assertEqual(self.count(User), 0)

    def test_names_of_the_user_and_the_service_are_rejected(self) -> None:
        for password in ("adalovelace1", "Countess@example.com", "countess-42", "G4zette2024"):
            reply = self.caller.register("ada_lovelace", "countess@example.com", password)
            self.assert_field_errors(reply, ("password", "password_resembles_user"))
            self.assertNotIn(password.encode(), reply.raw)

    def test_the_name_of_another_user_is_accepted(self) -> None:
        self.add_user("ada_lovelace", "countess@example.com")
        self.assertEqual(self.caller.register(password="countess-42").status, 201)

    def test_a_weak_password_from_an_administrator_is_rejected(self) -> None:
        token = self.add_token(self.add_user(admin=True))
        new = {"username": "ada", "email": "ada@example.com", "password": "1234567890"}
        self.assert_field_errors(
            self.caller.post("/users", new, token), ("password", "password_common")
        )
        self.assertEqual(self.caller.post("/users", new | {"password": GOOD}, token).status, 201)

    def test_a_weak_password_is_rejected_before_it_is_hashed(self) -> None:
        with mock.patch.object(User, "new_row", side_effect=AssertionError):
            reply = self.caller.register(password="password")
        self.assertEqual(reply.status, 400)

    def test_an_existing_weak_password_is_accepted_at_login(self) -> None:
        self.add_user(password="test")
        self.assertEqual(self.caller.login(password="test").status, 200)

    def test_a_good_password_registers_and_logs_in(self) -> None:
        self.assertEqual(self.caller.register(password=GOOD).status, 201)
        self.assertEqual(self.caller.login("test@test.com", GOOD).status, 200)
