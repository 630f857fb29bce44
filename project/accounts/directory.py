"""Look up users: one by id or e-mail address, all, or page by page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, bindparam, select, tuple_

from project.database.base import UTCDateTime
from project.errors import UserNotFound
from project.extensions import autocommit, write_connection
from project.models import User
from project.security import identifiers

MAX_ID = 2**31 - 1

USERS = select(User.id, User.username, User.email, User.active, User.admin, User.created_at)
BY_EMAIL = select(User.id).where(User.email_key == bindparam("email_key"))
NEWEST_FIRST = USERS.order_by(User.created_at.desc(), User.id.desc())
BY_ID = USERS.where(User.id == bindparam("id"))
FIRST_PAGE = NEWEST_FIRST.limit(bindparam("rows"))
NEXT_PAGE = FIRST_PAGE.where(
    tuple_(User.created_at, User.id)
    < tuple_(bindparam("created_at", type_=UTCDateTime), bindparam("id"))
)


Account = Row[int, str, str, bool, bool, datetime]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A position in the list of users, newest first: after the user with this time and id."""

    created_at: datetime
    id: int


def get(user_id: int) -> Account:
    """Return the user with this id. Raises UserNotFound."""
    user = autocommit.first(BY_ID, id=user_id) if 0 < user_id <= MAX_ID else None
    if user is None:
        raise UserNotFound
    return user


def find_id(email: str) -> int | None:
    """Return the id of the user with this e-mail address, or None."""
    user = autocommit.first(BY_EMAIL, email_key=identifiers.email_key(email))
    return user.id if user else None


def hold(user_id: int) -> bool:
    """Keep a user from being deleted until the caller's transaction ends; return whether it exists.

    Do this before writing other rows that refer to the user: PostgreSQL would lock the user after
    them, and operations that lock the user first could deadlock.
    """
    held = select(User.id).where(User.id == user_id).with_for_update(read=True, key_share=True)
    return write_connection().execute(held).first() is not None


def list_all() -> Sequence[Account]:
    """Return every user, newest first."""
    return autocommit.all(NEWEST_FIRST)


def list_page(limit: int, after: Cursor | None = None) -> tuple[Sequence[Account], Cursor | None]:
    """Return a page of up to `limit` users, newest first, and the cursor of the next page.

    The cursor is None on the last page. Pagination is by keyset: all pages cost the same, and a
    user who registers meanwhile does not shift them.
    """
    if after is None:
        found = autocommit.all(FIRST_PAGE, rows=limit + 1)
    else:
        found = autocommit.all(NEXT_PAGE, rows=limit + 1, created_at=after.created_at, id=after.id)
    users = found[:limit]
    last = users[-1] if len(found) > limit else None
    return users, last and Cursor(last.created_at, last.id)
