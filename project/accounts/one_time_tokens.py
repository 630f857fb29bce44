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
from sqlalchemy import ColumnElement, Row, insert, or_, select, update

from project.accounts import throttle
from project.accounts.actors import Actor
from project.accounts.messages import KINDS
from project.accounts.throttle import Attempt
from project.accounts.throttle.policies import CODE_ENTRY, Subjects
from project.clock import utcnow
from project.database.base import table_of
from project.errors import CodeInvalid, TooManyAttempts
from project.extensions import autocommit, transaction, write_connection
from project.models import KnownNetwork, OneTimeToken
from project.security import one_time_codes

MAX_ATTEMPTS = 5
DISOWN_PREFIX = "disown_"
DISOWN_LIFETIME = timedelta(days=7)

TABLE = table_of(OneTimeToken)
INSERTING = insert(TABLE)

Token = Row[*tuple[Any, ...]]
"""A row of the table of one-time tokens."""


class DerivedTokens:
    """Derives the codes and links of mails at delivery."""

    def code_of(self, token_id: UUID, purpose: str) -> str:
        """Return the one-time code in display form."""
        return one_time_codes.code(_secrets()[0], purpose, token_id)

    def link_of(self, token_id: UUID, purpose: str, page: str) -> str:
        """Return a link to a page of the front end, with the token."""
        token = one_time_codes.link_token(_secrets()[0], purpose, token_id)
        return f"{current_app.config['FRONTEND_URL']}/{page}?token={token}"


def issue(
    purpose: str,
    address_key: str,
    lifetime: timedelta,
    *,
    user_id: int | None = None,
) -> UUID:
    """Insert a token within the caller's transaction; return its id."""
    row = _new_row(purpose, address_key, lifetime, user_id)
    write_connection().execute(INSERTING, row)
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
    return token["id"], disown["id"]


def issue_disown(kind: str, address_key: str, user_id: int) -> UUID:
    """Insert the token of a "This was not me" link, within the caller's transaction."""
    return issue(DISOWN_PREFIX + kind, address_key, DISOWN_LIFETIME, user_id=user_id)


def request_id(token_id: UUID, purpose: str) -> str:
    """Return the request id, which the caller sends with the code."""
    return one_time_codes.request_id(_secrets()[0], purpose, token_id)


def by_link(text: str, purpose: str) -> Token:
    """Look up a token by its link. Raises CodeInvalid."""
    token_id = one_time_codes.id_of(text)
    if token_id is None or not one_time_codes.is_link_token(text, _secrets(), purpose, token_id):
        raise CodeInvalid
    return _usable(TABLE.c.id == token_id, TABLE.c.purpose == purpose)


def by_disown_link(text: str) -> Token:
    """Look up a token by its "This was not me" link, of any notice. Raises CodeInvalid."""
    token_id = one_time_codes.id_of(text)
    if token_id is None:
        raise CodeInvalid
    token = _usable(TABLE.c.id == token_id, TABLE.c.purpose.startswith(DISOWN_PREFIX))
    if not one_time_codes.is_link_token(text, _secrets(), token.purpose, token_id):
        raise CodeInvalid
    return token


def by_request(text: str, code: str, purpose: str, actor: Actor) -> Token:
    """Look up a token by its request id and check the code. Raises CodeInvalid."""
    token_id = one_time_codes.id_of(text)
    if token_id is None or not one_time_codes.is_request_id(text, _secrets(), purpose, token_id):
        raise CodeInvalid
    return _compared(token_id, code, purpose, actor)


def by_user(user_id: int, code: str, purpose: str, actor: Actor) -> Token:
    """Look up the newest token of a logged-in user and check the code. Raises CodeInvalid."""
    newest = (
        select(TABLE.c.id)
        .where(TABLE.c.user_id == user_id, TABLE.c.purpose == purpose, *_is_usable())
        .order_by(TABLE.c.created_at.desc(), TABLE.c.id)
        .limit(1)
    )
    found = autocommit.first(newest)
    if found is None:
        raise CodeInvalid
    return _compared(found.id, code, purpose, actor, is_own_session=True)


def consume(token: Token) -> None:
    """Consume a token within the caller's transaction. Raises CodeInvalid if it is not usable."""
    consuming = (
        update(TABLE)
        .where(TABLE.c.id == token.id, *_is_usable())
        .values(used_at=utcnow())
        .returning(TABLE.c.id)
    )
    if write_connection().execute(consuming).first() is None:
        raise CodeInvalid


def assign(token_id: UUID, user_id: int) -> None:
    """Assign a token to an account at delivery, within the caller's transaction."""
    write_connection().execute(update(TABLE).where(TABLE.c.id == token_id).values(user_id=user_id))


def invalidate(user_id: int, address_key: str) -> None:
    """Invalidate an account's tokens except disown tokens, within the caller's transaction.

    If disown tokens were invalidated too, an intruder could disable the owner's links.
    """
    whose = or_(TABLE.c.user_id == user_id, TABLE.c.address_key == address_key)
    kept = TABLE.c.purpose.startswith(DISOWN_PREFIX)
    write_connection().execute(
        update(TABLE).where(whose, ~kept, TABLE.c.used_at.is_(None)).values(used_at=utcnow())
    )


def find(token_id: UUID) -> Token | None:
    """Return a token that is neither consumed nor expired, or None."""
    return autocommit.first(select(TABLE).where(TABLE.c.id == token_id, *_is_usable()))


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


def _compared(
    token_id: UUID, code: str, purpose: str, actor: Actor, *, is_own_session: bool = False
) -> Token:
    """Count an attempt, compare the code, and refund the attempt if the code is correct."""
    token = _count_attempt(token_id)
    subjects = Subjects(
        actor,
        token.address_key,
        is_known_network=is_own_session or _is_known(token.user_id, actor.network),
    )
    try:
        with throttle.attempt(CODE_ENTRY, subjects=subjects) as attempt:
            if not one_time_codes.is_code(code, _secrets(), purpose, token_id):
                attempt.fail()
                raise CodeInvalid
            _refund(token_id, attempt)
    except TooManyAttempts:
        raise CodeInvalid from None
    if token.user_id is None:
        raise CodeInvalid
    return token


def _count_attempt(token_id: UUID) -> Token:
    """Count an attempt in one autocommit statement. Raises CodeInvalid."""
    counting = (
        update(TABLE)
        .where(TABLE.c.id == token_id, TABLE.c.attempts < MAX_ATTEMPTS, *_is_usable())
        .values(attempts=TABLE.c.attempts + 1)
        .returning(TABLE)
    )
    token = autocommit.first(counting)
    if token is None:
        raise CodeInvalid
    return token


def _refund(token_id: UUID, attempt: Attempt) -> None:
    with transaction():
        refunding = update(TABLE).where(TABLE.c.id == token_id, TABLE.c.attempts > 0)
        write_connection().execute(refunding.values(attempts=TABLE.c.attempts - 1))
        attempt.succeed()


def _is_known(user_id: int | None, network: str) -> bool:
    """Return whether the account has a login from this network."""
    known = (KnownNetwork.user_id == (user_id or 0), KnownNetwork.network == network)
    return autocommit.first(select(KnownNetwork.user_id).where(*known)) is not None


def _usable(*which: ColumnElement[bool]) -> Token:
    token = autocommit.first(select(TABLE).where(*which, *_is_usable()))
    if token is None or token.user_id is None:
        raise CodeInvalid
    return token


def _is_usable() -> tuple[ColumnElement[bool], ...]:
    return TABLE.c.used_at.is_(None), TABLE.c.expires_at > utcnow()


def _secrets() -> Sequence[str]:
    return [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]
