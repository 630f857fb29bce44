"""BaseTestCase, as used by tests with Flask's test client and the context of the app."""

from flask import current_app
from sqlalchemy import select

from project import db
from project.api.models import User
from project.tests.base import BaseTestCase
from project.tests.utils import add_user


class TestBaseTestCase(BaseTestCase):
    """A test can use the client, the models and the database session directly."""

    def test_the_context_belongs_to_the_app_of_the_test(self) -> None:
        self.assertIs(current_app._get_current_object(), self.app)  # type: ignore[attr-defined]

    def test_the_client_reads_rows_of_the_test(self) -> None:
        add_user("justatest", "test@test.com", "test")
        with self.client:
            response = self.client.post(
                "/auth/login", json={"email": "test@test.com", "password": "test"}
            )
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response.json and response.json["message"], "Successfully logged in.")

    def test_the_test_reads_rows_of_the_client(self) -> None:
        self.caller.register(email="test@test.com")
        user = db.session.scalars(select(User)).one()
        self.assertEqual(user, User.query.filter_by(email="test@test.com").first())

    def test_each_request_of_the_caller_has_a_different_id(self) -> None:
        replies = [self.caller.get("/ping") for _ in range(2)]
        self.assertEqual(len({reply.headers["X-Request-ID"] for reply in replies}), 2)
