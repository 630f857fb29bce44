"""The migration that computes the keys of e-mail addresses with IDNA."""

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
    """The migration, on a separate database with the previous schema."""

    def setUp(self) -> None:
        self.app = databases.new_app()
        self.enterContext(self.app.app_context())
        flask_migrate.downgrade(revision=BEFORE)

    def add(self, email: str, key: str) -> None:
        """Insert a user as the previous version did."""
        db.session.execute(INSERT, {"email": email, "key": key})
        db.session.commit()

    def keys(self) -> list[str]:
        """Return the keys of all users in the order of their ids."""
        keys = db.session.scalars(text("SELECT email_key FROM users ORDER BY id")).all()
        db.session.rollback()
        return list(keys)

    def test_keys_with_an_internationalized_domain_are_recomputed(self) -> None:
        self.add("A@EXÄmple.com", "a@exÄmple.com")
        self.add("Ada@Example.com", "ada@example.com")
        self.add("Ünï@example.com", "Ünï@example.com")
        self.add("a@i❤.ws", "a@i❤.ws")
        before = self.keys()
        flask_migrate.upgrade()
        self.assertEqual(self.keys(), [ASCII_KEY, *before[1:]])
        flask_migrate.downgrade(revision=BEFORE)
        self.assertEqual(self.keys(), before)

    def test_the_older_of_two_accounts_keeps_the_address(self) -> None:
        self.add("a@exämple.com", "a@exämple.com")
        self.add("a@EXÄMPLE.com", "a@exÄmple.com")
        with self.assertLogs("migrations", "WARNING") as logs:
            flask_migrate.upgrade()
        self.assertEqual(self.keys(), [ASCII_KEY, "a@exÄmple.com"])
        self.assertEqual(len(logs.output), 1)
        self.assertIn(
            "users 1 and 2 have the same e-mail address: only user 1 can log in", logs.output[0]
        )

    def test_an_older_account_takes_over_the_address_of_a_younger_one(self) -> None:
        self.add("a@exämple.com", "a@exämple.com")
        self.add("a@xn--exmple-cua.com", ASCII_KEY)
        with self.assertLogs("migrations", "WARNING"):
            flask_migrate.upgrade()
        self.assertEqual(self.keys(), [ASCII_KEY, "a@exämple.com"])

    def test_accounts_beyond_one_batch_are_migrated(self) -> None:
        rows = [{"email": f"a{number}@ü.de", "key": f"a{number}@ü.de"} for number in range(1001)]
        db.session.execute(INSERT, rows)
        db.session.commit()
        flask_migrate.upgrade()
        self.assertEqual(self.keys(), [f"a{number}@xn--tda.de" for number in range(1001)])
