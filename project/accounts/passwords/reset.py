"""Resetting a forgotten password by mail, which claims the account.

Confirming a reset proves access to the mailbox. It ends all sessions, removes the known networks
and invalidates the account's one-time tokens, except disown tokens.
"""

from typing import Any

from sqlalchemy import Row, delete, func, select, update

from project.accounts import audit, email, one_time_tokens, passwords, sessions, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Addressee, Requested
from project.accounts.one_time_tokens import Token
from project.clock import utcnow
from project.errors import CodeInvalid
from project.extensions import autocommit, db, transaction
from project.models import KnownNetwork, User

PURPOSE = "password_reset"
COLUMNS = (
    User.id, User.username, User.email, User.email_key, User.active, User.language,
    User.email_verified_at,
)  # fmt: skip

Account = Row[*tuple[Any, ...]]


def request(address: str, actor: Actor) -> Requested:
    """Queue a mail to reset the password for an address. Raises TooManyAttempts."""
    return email.request(PURPOSE, address, actor)


def confirm_by_link(link_token: str, password: str, actor: Actor) -> None:
    """Set a new password, confirmed by the link in the mail.

    Raises CodeInvalid, InvalidPayload for a weak password, or Overloaded.
    """
    _confirm(one_time_tokens.by_link(link_token, PURPOSE), password, actor)


def confirm_by_code(request_id: str, code: str, password: str, actor: Actor) -> None:
    """Set a new password, confirmed by the request id and the code in the mail.

    Raises CodeInvalid, InvalidPayload for a weak password, or Overloaded.
    """
    _confirm(one_time_tokens.by_request(request_id, code, PURPOSE, actor), password, actor)


def _confirm(token: Token, password: str, actor: Actor) -> None:
    account = _owner(token, autocommit.first(select(*COLUMNS).where(User.id == token.user_id)))
    passwords.check_new_password(password, username=account.username, email=account.email)
    new_hash = User.hash_password(password, actor.site)
    with transaction():
        _claim(token, new_hash, actor)
    # After the transaction, row by row: logins lock these rows in a different order.
    throttle.clear(account.email, actor)


def _claim(token: Token, new_hash: str, actor: Actor) -> None:
    """Claim the account for the owner of its mailbox, within the caller's transaction."""
    held = select(*COLUMNS).where(User.id == token.user_id).with_for_update(key_share=True)
    account = _owner(token, db.session.execute(held).first())
    one_time_tokens.consume(token)
    verified_at = func.coalesce(User.email_verified_at, utcnow())
    claiming = update(User).where(User.id == account.id)
    db.session.execute(claiming.values(password=new_hash, email_verified_at=verified_at))
    ended = sessions.mark_all_ended(account.id)
    one_time_tokens.invalidate(account.id, account.email_key)
    db.session.execute(delete(KnownNetwork).where(KnownNetwork.user_id == account.id))
    audit.record(Event.PASSWORD_RESET_CONFIRMED, actor, user_id=account.id, sessions_ended=ended)
    if account.email_verified_at is None:
        audit.record(Event.ACCOUNT_CLAIMED, actor, user_id=account.id)
    addressee = Addressee(account.id, account.email, account.language)
    email.notify("password_changed", addressee, actor)


def _owner(token: Token, account: Account | None) -> Account:
    """Return the account if the token is valid for it. Raises CodeInvalid."""
    if account is None or not account.active or account.email_key != token.address_key:
        raise CodeInvalid
    return account
