"""An operation is one transaction: all of it is committed, or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import select, update

from project.errors import InvalidCredentials, UserNotFound
from project.extensions import db, transaction
from project.models import User
from project.tests.base import BaseTestCase


class TestTransaction(BaseTestCase):
    """With a user whose name is changed."""

    def setUp(self) -> None:
        super().setUp()
        self.add_user("before")
        self.enterContext(self.app.app_context())

    @contextmanager
    def renaming(self, *recorded: type[Exception]) -> Iterator[None]:
        """Rename the user in a transaction, and do the rest of it."""
        with transaction(*recorded):
            db.session.execute(update(User).values(username="after"))
            yield

    def name(self) -> str:
        """Return the name that is committed."""
        db.session.rollback()
        return db.session.scalars(select(User.username)).one()

    def test_it_commits_at_its_end(self) -> None:
        with self.renaming():
            pass
        self.assertEqual(self.name(), "after")

    def test_it_rolls_back_where_it_raises(self) -> None:
        with pytest.raises(UserNotFound), self.renaming():
            raise UserNotFound
        self.assertEqual(self.name(), "before")

    def test_an_error_that_is_to_be_recorded_commits(self) -> None:
        with pytest.raises(InvalidCredentials), self.renaming(InvalidCredentials):
            raise InvalidCredentials
        self.assertEqual(self.name(), "after")

    def test_another_error_does_not(self) -> None:
        with pytest.raises(UserNotFound), self.renaming(InvalidCredentials):
            raise UserNotFound
        self.assertEqual(self.name(), "before")

    def test_no_operation_runs_inside_another(self) -> None:
        with pytest.raises(RuntimeError), self.renaming(), transaction():
            self.fail("an operation inside an operation")
        self.assertEqual(self.name(), "before")

    def test_one_may_follow_another_that_failed(self) -> None:
        with pytest.raises(UserNotFound), self.renaming():
            raise UserNotFound
        with self.renaming():
            pass
        self.assertEqual(self.name(), "after")
