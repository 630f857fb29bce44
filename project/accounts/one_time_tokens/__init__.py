"""One-time tokens: the codes and links in mails. Each token confirms one operation, once.

The caller of the request receives the token's `request_id`; the mail contains its code and link.
A code is accepted only with the request id, or in a session if it belongs to the user's newest
token. Each attempt is counted before the code is compared. A link is accepted alone, since it
cannot be guessed. An operation consumes the token by calling `consume` in its transaction.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from flask import current_app
from sqlalchemy import ColumnElement, insert, or_, select, update

from project.accounts.messages import KINDS
from project.accounts.one_time_tokens.checks import (
    MAX_ATTEMPTS,
    by_disown_link,
    by_link,
    by_request,
    by_request_and_link,
    by_user,
)
from project.accounts.one_time_tokens.observers import ISSUED, OUTCOMES, USED, observe, publish
from project.accounts.one_time_tokens.table import (
    DISOWN_PREFIX,
    INVITATION,
    IS_DISOWN,
    TABLE,
    Token,
    is_usable,
    secrets,
    select_newest,
)
from project.clock import utcnow
from project.errors import CodeInvalid
from project.extensions import autocommit, write_connection
from project.security import one_time_codes

__all__ = [
    "DISOWN_PREFIX",
    "INVITATION",
    "ISSUED",
    "MAX_ATTEMPTS",
    "OUTCOMES",
    "TABLE",
    "USED",
    "Token",
    "by_disown_link",
    "by_link",
    "by_request",
    "by_request_and_link",
    "by_user",
    "observe",
    "select_newest",
]

DISOWN_LIFETIME = timedelta(days=7)
INSERTING = insert(TABLE)


class DerivedTokens:
    """Derives the codes and links of mails at delivery."""

    def code_of(self, token_id: UUID, purpose: str) -> str:
        """Return the one-time code in display form."""
        return one_time_codes.code(secrets()[0], purpose, token_id)

    def link_of(self, token_id: UUID, purpose: str, page: str) -> str:
        """Return a link to a page of the front end, with the token."""
        token = one_time_codes.link_token(secrets()[0], purpose, token_id)
        return f"{current_app.config['FRONTEND_URL']}/{page}?token={token}"


def issue(
    purpose: str,
    address_key: str,
    lifetime: timedelta,
    *,
    user_id: int | None = None,
    new_email: str | None = None,
) -> UUID:
    """Insert a token within the caller's transaction; return its id."""
    row = _new_row(purpose, address_key, lifetime, user_id) | {"new_email": new_email}
    write_connection().execute(INSERTING, row)
    publish(purpose, ISSUED)
    token_id: UUID = row["id"]
    return token_id


def issue_with_disown(purpose: str, address_key: str, user_id: int) -> tuple[UUID, UUID]:
    """Insert a token and a disown token for its mail in one statement; return their ids."""
    lifetimes = {purpose: KINDS[purpose].lifetime, DISOWN_PREFIX + purpose: DISOWN_LIFETIME}
    token, disown = (
        _new_row(name, address_key, lifetime, user_id=user_id)
        for name, lifetime in lifetimes.items()
    )
    write_connection().execute(INSERTING.values([token, disown]))
    for name in lifetimes:
        publish(name, ISSUED)
    return token["id"], disown["id"]


def issue_disown(kind: str, address_key: str, user_id: int, new_email: str | None = None) -> UUID:
    """Insert the token of a "This was not me" link, within the caller's transaction."""
    purpose = DISOWN_PREFIX + kind
    return issue(purpose, address_key, DISOWN_LIFETIME, user_id=user_id, new_email=new_email)


def request_id(token_id: UUID, purpose: str) -> str:
    """Return the request id, which the caller sends with the code."""
    return one_time_codes.request_id(secrets()[0], purpose, token_id)


def consume(token: Token) -> None:
    """Consume a token within the caller's transaction. Raises CodeInvalid if it is not usable."""
    consuming = (
        update(TABLE)
        .where(TABLE.c.id == token.id, *is_usable())
        .values(used_at=utcnow())
        .returning(TABLE.c.id)
    )
    if write_connection().execute(consuming).first() is None:
        raise CodeInvalid
    publish(token.purpose, USED)


def release(token: Token) -> None:
    """Make a consumed token usable again, within the caller's transaction."""
    write_connection().execute(update(TABLE).where(TABLE.c.id == token.id).values(used_at=None))


def assign(token_id: UUID, user_id: int) -> None:
    """Assign a token to an account at delivery, within the caller's transaction."""
    write_connection().execute(update(TABLE).where(TABLE.c.id == token_id).values(user_id=user_id))


def invalidate(user_id: int, address_key: str) -> None:
    """Invalidate an account's tokens except disown tokens, within the caller's transaction.

    If disown tokens were invalidated too, an intruder could disable the owner's links.
    """
    whose = or_(TABLE.c.user_id == user_id, TABLE.c.address_key == address_key)
    _invalidate(whose, ~IS_DISOWN)


def invalidate_purpose(user_id: int, purpose: str) -> None:
    """Invalidate an account's tokens of one purpose, within the caller's transaction."""
    _invalidate(TABLE.c.user_id == user_id, TABLE.c.purpose == purpose)


def invalidate_disown(user_id: int) -> None:
    """Invalidate an account's disown tokens, within the caller's transaction."""
    _invalidate(TABLE.c.user_id == user_id, IS_DISOWN)


def invalidate_later(disown: Token) -> None:
    """Invalidate the account's disown tokens that are newer than this one."""
    later = (TABLE.c.user_id == disown.user_id, TABLE.c.created_at > disown.created_at)
    _invalidate(*later, IS_DISOWN)


def outstanding(user_id: int, purpose: str) -> Sequence[Token]:
    """Return an account's usable tokens of one purpose, oldest first."""
    whose = (TABLE.c.user_id == user_id, TABLE.c.purpose == purpose)
    usable = select(TABLE).where(*whose, *is_usable()).order_by(TABLE.c.created_at)
    return write_connection().execute(usable).all()


def cancel(purpose: str, which: ColumnElement[bool]) -> int:
    """Invalidate usable tokens of a purpose within the caller's transaction; return the number."""
    return _invalidate(TABLE.c.purpose == purpose, which, TABLE.c.expires_at > utcnow())


def list_usable(purpose: str) -> Sequence[Token]:
    """Return the tokens of a purpose that are neither consumed nor expired, newest first."""
    usable = select(TABLE).where(TABLE.c.purpose == purpose, *is_usable())
    return autocommit.all(usable.order_by(TABLE.c.created_at.desc(), TABLE.c.id))


def find(token_id: UUID) -> Token | None:
    """Return a token that is neither consumed nor expired, or None."""
    return autocommit.first(select(TABLE).where(TABLE.c.id == token_id, *is_usable()))


def _new_row(
    purpose: str, address_key: str, lifetime: timedelta, user_id: int | None
) -> dict[str, Any]:
    now = utcnow()
    return {
        "id": uuid4(),
        "purpose": purpose,
        "user_id": user_id,
        "address_key": address_key,
        "created_at": now,
        "expires_at": now + lifetime,
        "attempts": 0,
    }


def _invalidate(*which: ColumnElement[bool]) -> int:
    unused = update(TABLE).where(*which, TABLE.c.used_at.is_(None))
    return write_connection().execute(unused.values(used_at=utcnow())).rowcount
