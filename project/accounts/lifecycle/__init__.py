"""Deactivation, reactivation and deletion of accounts by an operator."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select, update

from project.accounts import audit, directory, one_time_tokens, sessions
from project.accounts.actors import COMMAND, SERVICE, Actor
from project.accounts.audit import Event
from project.accounts.lifecycle import deletion
from project.errors import UserNotFound
from project.extensions import autocommit, db, transaction
from project.models import User
from project.security import identifiers

IS_UNVERIFIED = (User.email_verified_at.is_(None), User.admin.is_(False))


def deactivate(email: str, actor: Actor = COMMAND) -> int:
    """Deactivate an account and return the number of ended sessions. Raises UserNotFound.

    If its user has requested the deletion, the links "This was not me" no longer restore it.
    """
    user_id = _get_id(email)
    with transaction():
        if db.session.scalar(select(User.deletion_requested_at).where(User.id == user_id)):
            one_time_tokens.invalidate_disown(user_id)
        changed = _set_active(user_id, active=False)
        ended = sessions.mark_all_ended(user_id)
        one_time_tokens.invalidate(user_id, identifiers.email_key(email))
        if changed or ended:
            audit.record(Event.USER_DEACTIVATED, actor, user_id=user_id, sessions_ended=ended)
    return ended


def activate(email: str, actor: Actor = COMMAND) -> None:
    """Reactivate an account, even if its deletion was requested. Raises UserNotFound."""
    user_id = _get_id(email)
    with transaction():
        if _set_active(user_id, active=True):
            audit.record(Event.USER_ACTIVATED, actor, user_id=user_id)


def remove(email: str, actor: Actor = COMMAND) -> int:
    """Erase an account at once; return the number of ended sessions. Raises UserNotFound."""
    user_id = _get_id(email)
    with transaction():
        ended = _remove(actor, User.id == user_id)
    if ended is None:  # deleted by another command meanwhile
        raise UserNotFound
    return ended


def list_unverified(created_before: datetime, limit: int) -> Sequence[int]:
    """Return the ids of accounts that `remove_unverified` deletes, oldest first."""
    old = select(User.id).where(User.created_at <= created_before, *IS_UNVERIFIED)
    return [row.id for row in autocommit.all(old.order_by(User.created_at).limit(limit))]


def remove_unverified(user_id: int) -> bool:
    """Delete an account unless it is verified or an administrator's; return whether it did."""
    with transaction():
        return _remove(SERVICE, User.id == user_id, *IS_UNVERIFIED) is not None


def is_last_admin(email: str) -> bool:
    """Return whether this account is the only active administrator. Raises UserNotFound."""
    user_id = _get_id(email)
    if not db.session.scalar(select(User.admin).where(User.id == user_id)):
        return False
    others = select(User.id).where(User.admin, User.active, User.id != user_id)
    return db.session.scalar(others.limit(1)) is None


def _remove(actor: Actor, *which: ColumnElement[bool]) -> int | None:
    """Delete an account within the caller's transaction.

    Returns the number of ended sessions, or None if no account matches.
    """
    # Lock the user first, as a login does: another order could deadlock.
    columns = select(User.id, User.email_key).where(*which)
    account = db.session.execute(columns.with_for_update()).first()
    return None if account is None else deletion.erase(*account, actor)


def _set_active(user_id: int, *, active: bool) -> bool:
    """Set `active` within the caller's transaction; return whether it changed."""
    differing = update(User).where(User.id == user_id, User.active.is_not(active))
    changing = differing.values(active=active, deletion_requested_at=None)
    return db.session.scalar(changing.returning(User.id)) is not None


def _get_id(email: str) -> int:
    user_id = directory.find_id(email)
    if user_id is None:
        raise UserNotFound
    return user_id
