"""What every test class stands on."""

from typing import Any, ClassVar
from unittest import TestCase

from sqlalchemy import delete

from project.extensions import db
from project.models import Session, User
from project.tests import utils
from project.tests.support import databases
from project.tests.utils import InProcess, Reply


class BaseTestCase(TestCase):
    """A test on this run's database, which is empty when it begins."""

    overrides: ClassVar[dict[str, object]] = {}
    """Settings that differ from the testing configuration."""

    def setUp(self) -> None:
        """Make the app and its caller."""
        self.app = databases.shared_app(**self.overrides)
        self.caller: utils.Caller = InProcess(self.app.test_client())
        with self.app.app_context():
            empty_tables()

    def add_user(self, *args: Any, **columns: Any) -> int:
        """Put a user into the database; return the id."""
        with self.app.app_context():
            return utils.add_user(*args, **columns).id

    def add_token(self, user_id: int, **age: Any) -> str:
        """Open a session of a user; return its token."""
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
        """Return how many rows there are."""
        with self.app.app_context():
            return db.session.query(model).count()

    def assert_success(self, reply: Reply, status: int, message: str | None = None) -> Any:
        """Hold a success to the envelope; return its body."""
        return self._assert_envelope(reply, status, "success", message)

    def assert_refused(self, reply: Reply, status: int, message: str, code: str) -> Any:
        """Hold a refusal to the envelope; return its body."""
        body = self._assert_envelope(reply, status, "error", message)
        self.assertEqual(body["code"], code)
        return body

    def assert_faults(self, reply: Reply, *faults: tuple[str, str]) -> None:
        """Hold an "Invalid payload." to its faults: the field and the code of each."""
        body = self.assert_refused(reply, 400, "Invalid payload.", "invalid_payload")
        self.assertEqual([(fault["field"], fault["code"]) for fault in body["errors"]], [*faults])
        for fault in body["errors"]:
            self.assertRegex(fault["message"], r"^(This|A) .*\.$")

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
    """Delete every row of the current app's database."""
    for table in reversed(db.metadata.sorted_tables):
        db.session.execute(delete(table))
    db.session.commit()
