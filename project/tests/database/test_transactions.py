"""transaction(): commit, rollback and recorded errors."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from project.errors import InvalidCredentials, UserNotFound
from project.extensions import db, transaction
from project.models import User
from project.tests.base import BaseTestCase


class TestTransaction(BaseTestCase):
    """Transactions that rename a user."""

    def setUp(self) -> None:
        super().setUp()
        self.add_user("before")
        self.enterContext(self.app.app_context())

    @contextmanager
    def renaming(self, *recorded: type[Exception]) -> Iterator[None]:
        """Rename the user in a transaction, then run the block in it."""
        with transaction(*recorded):
            db.session.execute(update(User).values(username="after"))
            yield

    def name(self) -> str:
        """Return the committed name."""
        db.session.rollback()
        return db.session.scalars(select(User.username)).one()

    def test_a_transaction_commits_at_its_end(self) -> None:
        with self.renaming():
            pass
        self.assertEqual(self.name(), "after")

    def test_an_exception_rolls_back(self) -> None:
        with pytest.raises(UserNotFound), self.renaming():
            raise UserNotFound
        self.assertEqual(self.name(), "before")

    def test_a_recorded_error_commits(self) -> None:
        with pytest.raises(InvalidCredentials), self.renaming(InvalidCredentials):
            raise InvalidCredentials
        self.assertEqual(self.name(), "after")

    def test_another_error_rolls_back(self) -> None:
        with pytest.raises(UserNotFound), self.renaming(InvalidCredentials):
            raise UserNotFound
        self.assertEqual(self.name(), "before")

    def test_a_nested_transaction_is_rejected(self) -> None:
        with pytest.raises(RuntimeError), self.renaming(), transaction():
            self.fail("an operation inside an operation")
        self.assertEqual(self.name(), "before")

    def test_a_transaction_can_follow_a_failed_one(self) -> None:
        with pytest.raises(UserNotFound), self.renaming():
            raise UserNotFound
        with self.renaming():
            pass
        self.assertEqual(self.name(), "after")
