"""The base class of tests that use the app and its database."""

from typing import Any, ClassVar
from unittest import TestCase

from sqlalchemy import delete

from project.extensions import db
from project.models import Session, User
from project.tests import utils
from project.tests.support import databases
from project.tests.utils import InProcess, Reply


class BaseTestCase(TestCase):
    """Starts each test with an app, its context, a client and an empty database.

    `client` is Flask's test client and shares the context of the test; `caller` does not.
    """

    overrides: ClassVar[dict[str, object]] = {}
    """Settings that replace those of the testing configuration."""

    def setUp(self) -> None:
        """Create the app and its client, and enter its context."""
        self.app = databases.shared_app(**self.overrides)
        self.client = self.app.test_client()
        self.caller: utils.Caller = InProcess(self.client)
        self.enterContext(self.app.app_context())
        empty_tables()

    def add_user(self, *args: Any, **columns: Any) -> int:
        """Insert a user; return the id."""
        with self.app.app_context():
            return utils.add_user(*args, **columns).id

    def add_token(self, user_id: int, **age: Any) -> str:
        """Start a session of a user; return its access token."""
        with self.app.app_context():
            return utils.add_token(user_id, **age)

    def set_user(self, user_id: int, **columns: Any) -> None:
        """Change a user's columns."""
        with self.app.app_context():
            user = db.session.get_one(User, user_id)
            for name, value in columns.items():
                setattr(user, name, value)
            db.session.commit()

    def delete_user(self, user_id: int) -> None:
        """Delete a user."""
        with self.app.app_context():
            db.session.execute(delete(User).where(User.id == user_id))
            db.session.commit()

    def count(self, model: type[User] | type[Session]) -> int:
        """Return the number of rows of a table."""
        with self.app.app_context():
            return db.session.query(model).count()

    def assert_success(self, reply: Reply, status: int, message: str | None = None) -> Any:
        """Assert that a response is this success, in the envelope; return its body."""
        return self._assert_envelope(reply, status, "success", message)

    def assert_error(self, reply: Reply, status: int, message: str, code: str) -> Any:
        """Assert that a response is this error, in the envelope; return its body."""
        body = self._assert_envelope(reply, status, "error", message)
        self.assertEqual(body["code"], code)
        return body

    def assert_field_errors(self, reply: Reply, *errors: tuple[str, str]) -> None:
        """Assert that a response lists these errors of fields, as pairs of field and code."""
        body = self.assert_error(reply, 400, "Invalid payload.", "invalid_payload")
        self.assertEqual([(error["field"], error["code"]) for error in body["errors"]], [*errors])
        for error in body["errors"]:
            self.assertRegex(error["message"], r"^(This|A) .*\.$")

    def _assert_envelope(self, reply: Reply, status: int, outcome: str, message: str | None) -> Any:
        self.assertEqual(
            (reply.status, reply.headers["Content-Type"]), (status, "application/json")
        )
        self.assertRegex(reply.headers["X-Request-ID"], r"^[A-Za-z0-9-]{8,64}$")
        body = reply.body
        self.assertEqual(body["status"], outcome)
        self.assertEqual(body.get("message"), message)
        return body


def empty_tables() -> None:
    """Delete every row from the database of the current app."""
    for table in reversed(db.metadata.sorted_tables):
        db.session.execute(delete(table))
    db.session.commit()
