"""Deletion of accounts, which is final after a grace period.

A user's request deactivates the account at once. Until DELETION_GRACE has passed, the link in the
farewell restores the account; then `purge` erases it. The audit trail keeps the user's id.
"""

from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from project.accounts import audit, email, one_time_tokens, outbox, sessions, throttle
from project.accounts.actors import SERVICE, Actor
from project.accounts.audit import Event
from project.accounts.email import Account, Addressee
from project.accounts.messages import FAREWELL
from project.accounts.one_time_tokens import DISOWN_PREFIX
from project.accounts.sessions import Principal
from project.clock import utcnow
from project.errors import LastAdmin, SessionEnded
from project.extensions import autocommit, db, transaction
from project.models import OneTimeToken, Outbox, User


def request(principal: Principal, actor: Actor) -> datetime:
    """Deactivate the caller's account and queue the farewell; return when the account is erased.

    Raises LastAdmin, or SessionEnded if the account was deleted or deactivated meanwhile.
    """
    now = utcnow()
    final_at = now + grace()
    with transaction():
        if principal.admin:
            _check_other_admins(principal.id)
        account = _deactivate(principal.id, now)
        ended = sessions.mark_all_ended(account.id)
        audit.record(
            Event.ACCOUNT_DELETION_REQUESTED, actor, user_id=account.id, sessions_ended=ended
        )
        one_time_tokens.invalidate(account.id, account.email_key)
        # Notices remain: they may have been caused by an intruder, who now deletes the account.
        confirms = Outbox.payload["token"].as_string().is_not(None)
        outbox.cancel(_mail_to(account.id, account.email_key), confirms, reason="deleted")
        if final_at == now:
            erase(account.id, account.email_key, actor)
        if email.is_on():
            _queue_farewell(account, actor, final_at)
    return final_at


def grace() -> timedelta:
    """Return the time between the request and the final deletion."""
    period: timedelta = current_app.config["DELETION_GRACE"]
    return period


def erase(user_id: int, email_key: str, actor: Actor) -> int:
    """Delete an account and all data that identifies its user; return the number of ended sessions.

    Runs within the caller's transaction, which has locked the user. Foreign keys delete the
    sessions, the known networks and the user's one-time tokens.
    """
    ended = sessions.mark_all_ended(user_id)
    outbox.erase(_mail_to(user_id, email_key))
    db.session.execute(delete(OneTimeToken).where(OneTimeToken.address_key == email_key))
    db.session.execute(delete(User).where(User.id == user_id))
    audit.record(Event.USER_DELETED, actor, user_id=user_id, sessions_ended=ended)
    throttle.erase(user_id, email_key)
    return ended


def erase_due() -> int:
    """Erase the accounts whose grace period has ended; return their number."""
    due = autocommit.all(select(User.id).where(_is_due()).order_by(User.deletion_requested_at))
    return sum(_erase_if_due(row.id) for row in due)


def _erase_if_due(user_id: int) -> bool:
    """Erase an account, unless it was restored or another process is erasing it."""
    columns = select(User.id, User.email_key).where(User.id == user_id, _is_due())
    with transaction():
        account = db.session.execute(columns.with_for_update(skip_locked=True)).first()
        if account is not None:
            erase(*account, SERVICE)
    return account is not None


def _is_due() -> ColumnElement[bool]:
    return and_(~User.active, User.deletion_requested_at <= utcnow() - grace())


def _check_other_admins(user_id: int) -> None:
    """Check that another active administrator exists, and lock one until the transaction ends.

    Raises LastAdmin. Concurrent deletions lock the rows in the same order, so the second one waits
    for the first, and then sees its result.
    """
    admins = select(User.id).where(User.admin, User.active).order_by(User.id).limit(2)
    if db.session.scalars(admins.with_for_update()).all() == [user_id]:
        raise LastAdmin


def _deactivate(user_id: int, now: datetime) -> Account:
    """Deactivate and lock an active account. Raises SessionEnded if it is not active."""
    columns = (User.id, User.email, User.email_key, User.language, User.email_verified_at)
    deactivating = update(User).where(User.id == user_id, User.active).returning(*columns)
    values = {"active": False, "deletion_requested_at": now}
    account = db.session.execute(deactivating.values(values)).first()
    if account is None:
        raise SessionEnded
    return account


def _queue_farewell(account: Account, actor: Actor, final_at: datetime) -> None:
    """Queue the farewell, with a link that restores the account until `final_at`.

    For an account that was erased at once, the farewell has no link and is queued only if the
    address is verified. Otherwise anybody could send mail to an address by registering and deleting
    accounts with it.
    """
    addressee = Addressee(account.id, account.email, account.language)
    if grace():
        purpose = DISOWN_PREFIX + FAREWELL
        token = one_time_tokens.issue(purpose, account.email_key, grace(), user_id=account.id)
        email.queue_notice(FAREWELL, addressee, actor, token, final_at)
    elif account.email_verified_at is not None:
        email.queue_notice(FAREWELL, addressee, actor)


def _mail_to(user_id: int, email_key: str) -> ColumnElement[bool]:
    """Return the condition that a message is for this user.

    Requested mail has no user yet, and the address as the caller typed it, so it is found by its
    one-time token.
    """
    whose = or_(OneTimeToken.user_id == user_id, OneTimeToken.address_key == email_key)
    tokens = [token.hex for token in db.session.scalars(select(OneTimeToken.id).where(whose))]
    return or_(
        Outbox.user_id == user_id,
        func.lower(Outbox.recipient) == email_key,
        Outbox.payload["token"].as_string().in_(tokens),
    )
