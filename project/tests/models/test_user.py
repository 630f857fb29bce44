"""The user model: hashing, keys and tokens."""

import unicodedata
from datetime import UTC, datetime

import time_machine
from sqlalchemy import select
from sqlalchemy.exc import StatementError

from project.clock import utcnow
from project.errors import TokenExpired, TokenInvalid
from project.extensions import bcrypt, db
from project.models import Session, User
from project.security import identifiers
from project.security.passwords import hashing
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.utils import add_token, add_user

NEWER = databases.SECRET_KEY[::-1]


def folded(text: str) -> str:
    """Return a text without its case."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


class TestUserModel(BaseTestCase):
    """The model by itself."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(self.app.app_context())

    def test_add_user(self) -> None:
        with time_machine.travel(datetime(2026, 11, 22, 21, 34, 3, tzinfo=UTC), tick=False):
            add_user("michael", "michael@example.com", "test")
        user = db.session.scalars(select(User)).one()
        self.assertGreater(user.id, 0)
        self.assertEqual((user.username, user.email), ("michael", "michael@example.com"))
        self.assertEqual((user.active, user.admin), (True, False))
        self.assertEqual(user.created_at, datetime(2026, 11, 22, 21, 34, 3, tzinfo=UTC))

    def test_passwords_are_hashed_each_with_its_salt(self) -> None:
        first = add_user("one", "one@example.com", "test").password
        second = add_user("two", "two@example.com", "test").password
        self.assertNotEqual(first, second)
        self.assertRegex(first, r"^\$2b\$04\$[./A-Za-z0-9]{53}$")
        self.assertTrue(bcrypt.check_password_hash(first, "test"))

    def test_a_decoy_costs_what_the_setting_says_and_opens_to_nothing(self) -> None:
        decoy = hashing.dummy_hash(4)
        self.assertRegex(decoy, r"^\$2b\$04\$[./A-Za-z0-9]{53}$")
        self.assertFalse(bcrypt.check_password_hash(decoy, ""))

    def test_auth_token(self) -> None:
        user_id = add_user().id
        claims = User.decode_auth_token(add_token(user_id))
        self.assertEqual(claims.user_id, user_id)
        self.assertEqual(claims.session_id, db.session.scalars(select(Session.id)).one())

    def test_auth_token_of_another_secret_is_invalid(self) -> None:
        token = add_token(add_user().id)
        with (
            databases.shared_app(SECRET_KEY=NEWER).app_context(),
            self.assertRaises(TokenInvalid),
        ):
            User.decode_auth_token(token)

    def test_a_secret_of_before_opens_and_signs_nothing(self) -> None:
        # Created first: PostgreSQL ends a transaction that is idle while an app starts.
        rotated = databases.shared_app(
            SECRET_KEY=NEWER, SECRET_KEY_FALLBACKS=self.app.config["SECRET_KEY"]
        )
        replaced = databases.shared_app(SECRET_KEY=NEWER)
        user_id = add_user().id
        token = add_token(user_id)
        with rotated.app_context():
            self.assertEqual(User.decode_auth_token(token).user_id, user_id)
            newer = add_token(user_id)
        with replaced.app_context():
            self.assertEqual(User.decode_auth_token(newer).user_id, user_id)

    def test_auth_token_expires(self) -> None:
        token = add_token(add_user().id)
        with (
            time_machine.travel(utcnow().replace(year=2100), tick=False),
            self.assertRaises(TokenExpired),
        ):
            User.decode_auth_token(token)

    def test_a_moment_without_a_time_zone_is_refused(self) -> None:
        with self.assertRaises(StatementError):
            add_user(created_at=datetime(2026, 11, 22))  # noqa: DTZ001  # it is what is refused

    def test_no_letters_case_or_form_makes_another_name(self) -> None:
        letters = [chr(code) for code in range(0x20, 0x3000) if identifiers.is_visible(chr(code))]
        for name in [*letters, *(f"{letter}\u0301" for letter in letters)]:
            key = identifiers.username_key(name)
            # Upper case alone makes one of two letters (a dotless i is none with a dot).
            spellings = {name, key} | {
                other for other in (name.upper(), name.lower()) if folded(other) == folded(name)
            }
            for form in ("NFC", "NFD", "NFKC", "NFKD"):
                for other in spellings:
                    spelled = unicodedata.normalize(form, other)
                    self.assertEqual(identifiers.username_key(spelled), key, ascii(name))

    def test_ids_are_not_used_again(self) -> None:
        first = add_user().id
        self.delete_user(first)
        self.assertGreater(add_user().id, first)
