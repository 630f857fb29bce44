"""Assert that the migration of the keys of e-mail addresses changes what it should."""

import flask_migrate
from sqlalchemy import text

from project.extensions import db
from project.tests.base import BaseTestCase
from project.tests.support import databases

INSERT = text(
    "INSERT INTO users (username, username_key, email, email_key, password, active, admin,"
    " created_at) VALUES (:email, :email, :email, :key, '', true, false, '2026-01-01 00:00:00')"
)
BEFORE = "0011"
ASCII_KEY = "a@xn--exmple-cua.com"


class TestEmailKeys(BaseTestCase):
    """On a database of its own, as it was before."""

    def setUp(self) -> None:
        self.app = databases.new_app()
        self.enterContext(self.app.app_context())
        flask_migrate.downgrade(revision=BEFORE)

    def add(self, email: str, key: str) -> None:
        """Insert a user as the version before did."""
        db.session.execute(INSERT, {"email": email, "key": key})
        db.session.commit()

    def keys(self) -> list[str]:
        """Return the keys of all users in the order of their ids."""
        keys = db.session.scalars(text("SELECT email_key FROM users ORDER BY id")).all()
        db.session.rollback()
        return list(keys)

    def test_keys_beyond_ascii_are_computed_again(self) -> None:
        self.add("A@EXÄmple.com", "a@exÄmple.com")
        self.add("Ada@Example.com", "ada@example.com")
        self.add("Ünï@example.com", "Ünï@example.com")
        self.add("a@i❤.ws", "a@i❤.ws")
        before = self.keys()
        flask_migrate.upgrade()
        self.assertEqual(self.keys(), [ASCII_KEY, *before[1:]])
        flask_migrate.downgrade(revision=BEFORE)
        self.assertEqual(self.keys(), before)

    def test_of_two_accounts_with_one_address_the_older_has_it(self) -> None:
        self.add("a@exämple.com", "a@exämple.com")
        self.add("a@EXÄMPLE.com", "a@exÄmple.com")
        with self.assertLogs("migrations", "WARNING") as logs:
            flask_migrate.upgrade()
        self.assertEqual(self.keys(), [ASCII_KEY, "a@exÄmple.com"])
        self.assertEqual(len(logs.output), 1)
        self.assertIn(
            "users 1 and 2 have the same e-mail address: only user 1 can log in", logs.output[0]
        )

    def test_an_older_account_gets_the_address_from_a_younger_one(self) -> None:
        self.add("a@exämple.com", "a@exämple.com")
        self.add("a@xn--exmple-cua.com", ASCII_KEY)
        with self.assertLogs("migrations", "WARNING"):
            flask_migrate.upgrade()
        self.assertEqual(self.keys(), [ASCII_KEY, "a@exämple.com"])

    def test_more_accounts_than_a_batch(self) -> None:
        rows = [{"email": f"a{number}@ü.de", "key": f"a{number}@ü.de"} for number in range(1001)]
        db.session.execute(INSERT, rows)
        db.session.commit()
        flask_migrate.upgrade()
        self.assertEqual(self.keys(), [f"a{number}@xn--tda.de" for number in range(1001)])
