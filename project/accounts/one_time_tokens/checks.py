"""Checks of the codes and links that callers send.

Each attempt at a code is counted before the code is compared.
"""

from uuid import UUID

from sqlalchemy import ColumnElement, select, update

from project.accounts import throttle
from project.accounts.actors import Actor
from project.accounts.one_time_tokens.observers import observing_rejection
from project.accounts.one_time_tokens.table import (
    INVITATION,
    IS_DISOWN,
    TABLE,
    Token,
    is_usable,
    secrets,
    select_newest,
)
from project.accounts.throttle import Attempt
from project.accounts.throttle.policies import CODE_ENTRY, Subjects
from project.errors import CodeInvalid, TooManyAttempts
from project.extensions import autocommit, transaction, write_connection
from project.models import KnownNetwork
from project.security import one_time_codes

MAX_ATTEMPTS = 5


def by_link(link: str, purpose: str) -> Token:
    """Look up a token by its link. Raises CodeInvalid."""
    token_id = one_time_codes.id_of(link)
    with observing_rejection(purpose):
        if not token_id or not one_time_codes.is_link_token(link, secrets(), purpose, token_id):
            raise CodeInvalid
        return _find_usable(TABLE.c.id == token_id, TABLE.c.purpose == purpose)


def by_disown_link(link: str) -> Token:
    """Look up a token by its "This was not me" link, of any notice. Raises CodeInvalid."""
    token_id = one_time_codes.id_of(link)
    if token_id is None:
        raise CodeInvalid
    token = _find_usable(TABLE.c.id == token_id, IS_DISOWN)
    if not one_time_codes.is_link_token(link, secrets(), token.purpose, token_id):
        raise CodeInvalid
    return token


def by_request(request_id: str, code: str, purpose: str, actor: Actor) -> Token:
    """Look up a token by its request id and check the code. Raises CodeInvalid."""
    token_id = one_time_codes.id_of(request_id)
    with observing_rejection(purpose):
        if not token_id or not one_time_codes.is_request_id(
            request_id, secrets(), purpose, token_id
        ):
            raise CodeInvalid
        return _compare(token_id, code, purpose, actor)


def by_request_and_link(request_id: str, link: str, purpose: str) -> Token:
    """Look up a token by its link and its request id. Raises CodeInvalid."""
    token = by_link(link, purpose)
    if not one_time_codes.is_request_id(request_id, secrets(), purpose, token.id):
        raise CodeInvalid
    return token


def by_user(user_id: int, code: str, purpose: str, actor: Actor) -> Token:
    """Look up the newest token of a logged-in user and check the code. Raises CodeInvalid."""
    newest = autocommit.first(select_newest(user_id, purpose))
    with observing_rejection(purpose):
        if newest is None:
            raise CodeInvalid
        return _compare(newest.id, code, purpose, actor, is_own_session=True)


def _compare(
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
            if not one_time_codes.is_code(code, secrets(), purpose, token_id):
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
        .where(TABLE.c.id == token_id, TABLE.c.attempts < MAX_ATTEMPTS, *is_usable())
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


def _find_usable(*which: ColumnElement[bool]) -> Token:
    token = autocommit.first(select(TABLE).where(*which, *is_usable()))
    if token is None or (token.user_id is None and token.purpose != INVITATION):
        raise CodeInvalid
    return token
