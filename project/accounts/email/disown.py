"""Disowning a notice: its "This was not me" link undoes the actions of an intruder."""

from collections.abc import Callable

from sqlalchemy import Row, select, update

from project.accounts import audit, email, one_time_tokens, sessions
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.lifecycle import deletion
from project.accounts.messages import KINDS
from project.accounts.one_time_tokens import DISOWN_PREFIX, Token
from project.errors import CodeInvalid
from project.extensions import db, transaction
from project.models import User

NO_PASSWORD = "!"  # not a hash, so no password matches
RESET = "password_reset"

Account = Row[int, str, str, bool]


def disown(link_token: str, actor: Actor) -> None:
    """Disown the notice that contains this link. Raises CodeInvalid."""
    token = one_time_tokens.by_disown_link(link_token)
    kind = token.purpose.removeprefix(DISOWN_PREFIX)
    if kind not in EFFECTS:
        raise CodeInvalid
    with transaction():
        account = _held(token)
        one_time_tokens.consume(token)
        EFFECTS[kind](account, actor)
        audit.record(Event.NOTICE_DISOWNED, actor, user_id=account.id, kind=kind)


def _held(token: Token) -> Account:
    """Return the account, locked until the transaction ends. Raises CodeInvalid."""
    columns = (User.id, User.email, User.email_key, User.email_verified_at.is_not(None))
    held = select(*columns).where(User.id == token.user_id).with_for_update()
    account = db.session.execute(held).first()
    if account is None:
        raise CodeInvalid
    return account


def _delete_unverified(account: Account, actor: Actor) -> None:
    """Delete an unverified account. Raises CodeInvalid if its address is verified."""
    user_id, _, email_key, is_verified = account
    if is_verified:
        raise CodeInvalid
    deletion.erase(user_id, email_key, actor)


def _lock(account: Account, actor: Actor) -> None:
    """End all sessions, disable the password and queue a mail to reset it."""
    user_id, address, email_key, _ = account
    db.session.execute(update(User).where(User.id == user_id).values(password=NO_PASSWORD))
    sessions.end_for_password(user_id, actor)
    one_time_tokens.invalidate(user_id, email_key)
    lifetime = KINDS[RESET].lifetime
    token = one_time_tokens.issue(RESET, email_key, lifetime, user_id=user_id)
    email.queue(RESET, address, actor, token=token)


EFFECTS: dict[str, Callable[[Account, Actor], None]] = {
    "email_verification": _delete_unverified,
    "password_changed": _lock,
    "new_sign_in": _lock,
    "username_changed": _lock,
}
"""The effect of disowning a notice, by its kind."""
