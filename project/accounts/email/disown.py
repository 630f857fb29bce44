"""Disowning a notice: its "This was not me" link undoes the actions of an intruder."""

from collections.abc import Callable

from sqlalchemy import select, update

from project.accounts import audit, email, one_time_tokens, sessions
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Account, Addressee, change
from project.accounts.lifecycle import deletion
from project.accounts.messages import DISOWN_PREFIX
from project.accounts.one_time_tokens import Token
from project.errors import CodeInvalid, EmailExists
from project.extensions import db, transaction
from project.models import User
from project.security import identifiers

NO_PASSWORD = "!"  # not a hash, so no password matches


def disown(link_token: str, actor: Actor) -> None:
    """Disown the notice that contains this link.

    Raises CodeInvalid, or EmailExists if another account has the address to restore. In that case
    the account is locked, and the link remains valid.
    """
    token = one_time_tokens.by_disown_link(link_token)
    kind = token.purpose.removeprefix(DISOWN_PREFIX)
    if kind not in EFFECTS:
        raise CodeInvalid
    with transaction(EmailExists):
        account = change.lock(token.user_id)
        if account is None:
            raise CodeInvalid
        one_time_tokens.consume(token)
        try:
            EFFECTS[kind](account, token, actor)
        except EmailExists:
            one_time_tokens.release(token)
            raise
        audit.record(Event.NOTICE_DISOWNED, actor, user_id=account.id, kind=kind)


def _delete_unverified(account: Account, _token: Token, actor: Actor) -> None:
    """Delete an unverified account, but no administrator's. Raises CodeInvalid."""
    if account.email_verified_at is not None or account.admin:
        raise CodeInvalid
    deletion.erase(account.id, account.email_key, actor)


def _lock(account: Account, token: Token, actor: Actor) -> None:
    """Lock the account. If its address was changed since the notice, restore the address first.

    Otherwise the mail to reset the password would go to the intruder who changed the address.
    Raises EmailExists.
    """
    undo = change.find_undo(account, token.address_key)
    if undo is None:
        _lock_account(account.id, account.email, actor)
    else:
        _restore_address(account, undo, actor)


def _cancel_change(account: Account, token: Token, actor: Actor) -> None:
    """Cancel the pending change; undo it if it has been confirmed. Raises EmailExists."""
    if account.email_key != token.address_key:
        _restore_address(account, token, actor)
    else:
        one_time_tokens.invalidate_purpose(account.id, change.PURPOSE)


def _restore_address(account: Account, token: Token, actor: Actor) -> None:
    """Restore the address and lock the account.

    Raises EmailExists if another account has the address; both addresses then get a mail.
    """
    try:
        change.restore(account, token, actor)
    except EmailExists:
        # Counted, since the link can be used again and again.
        _lock_account(account.id, account.email, actor, is_counted=True)
        columns = (User.id, User.email, User.language)
        for other in db.session.execute(
            select(*columns).where(User.email_key == token.address_key)
        ):
            email.queue_notice("email_change_attempted", Addressee(*other), actor)
        raise
    _lock_account(account.id, token.new_email, actor)


def _reactivate(account: Account, _token: Token, actor: Actor) -> None:
    """Reactivate an account that was to be deleted. Raises CodeInvalid for any other account."""
    if not _undo_deletion(account.id, actor):
        raise CodeInvalid


def _undo_deletion(user_id: int, actor: Actor) -> bool:
    """Reactivate an account if its user's deletion was requested; return whether it was."""
    deleted = update(User).where(User.id == user_id, User.deletion_requested_at.is_not(None))
    reactivating = deleted.values(active=True, deletion_requested_at=None)
    if db.session.scalar(reactivating.returning(User.id)) is None:
        return False
    audit.record(Event.USER_ACTIVATED, actor, user_id=user_id)
    return True


def _lock_account(user_id: int, address: str, actor: Actor, *, is_counted: bool = False) -> None:
    """End all sessions, disable the password and queue a mail to reset it.

    Also undoes a deletion, since an intruder may have requested it. The mail is not counted, or an
    intruder could prevent it by requesting others.
    """
    _undo_deletion(user_id, actor)
    db.session.execute(update(User).where(User.id == user_id).values(password=NO_PASSWORD))
    sessions.end_for_password(user_id, actor)
    one_time_tokens.invalidate(user_id, identifiers.email_key(address))
    email.queue_new("password_reset", address, actor, user_id=user_id, is_counted=is_counted)


EFFECTS: dict[str, Callable[[Account, Token, Actor], None]] = {
    "email_verification": _delete_unverified,
    "password_changed": _lock,
    "new_sign_in": _lock,
    "username_changed": _lock,
    "email_change_requested": _cancel_change,
    "email_changed": _restore_address,
    "account_deleted": _reactivate,
}
"""The effect of disowning a notice, by its kind."""
