"""Deactivate, reactivate and delete accounts."""

from sqlalchemy import delete, select, update

from project.accounts import audit, directory, sessions
from project.accounts.audit import Event
from project.accounts.clients import COMMAND, Client
from project.api.models import User
from project.errors import UserNotFound
from project.extensions import db


def deactivate(email: str, client: Client = COMMAND) -> int:
    """Take an account out of use; return how many sessions ended. Raises UserNotFound."""
    user_id = _id_of(email)
    db.session.execute(update(User).where(User.id == user_id).values(active=False))
    ended = sessions.close_all(user_id)
    audit.record(Event.USER_DEACTIVATED, client, user_id=user_id, sessions_ended=ended)
    db.session.commit()
    return ended


def activate(email: str, client: Client = COMMAND) -> None:
    """Take an account back into use. Raises UserNotFound."""
    user_id = _id_of(email)
    db.session.execute(update(User).where(User.id == user_id).values(active=True))
    audit.record(Event.USER_ACTIVATED, client, user_id=user_id)
    db.session.commit()


def remove(email: str, client: Client = COMMAND) -> int:
    """Delete an account with its sessions; return how many ended. Raises UserNotFound."""
    user_id = _id_of(email)
    # First of all, as a login does: else each could wait for what the other holds.
    db.session.execute(select(User.id).where(User.id == user_id).with_for_update())
    ended = sessions.close_all(user_id)
    db.session.execute(delete(User).where(User.id == user_id))
    audit.record(Event.USER_DELETED, client, user_id=user_id, sessions_ended=ended)
    db.session.commit()
    return ended


def is_last_admin(email: str) -> bool:
    """Return whether nobody could administer the service without this account.

    Raises UserNotFound.
    """
    user_id = _id_of(email)
    if not db.session.scalar(select(User.admin).where(User.id == user_id)):
        return False
    others = select(User.id).where(User.admin, User.active, User.id != user_id)
    return db.session.scalar(others.limit(1)) is None


def _id_of(email: str) -> int:
    user_id = directory.id_of(email)
    if user_id is None:
        raise UserNotFound
    return user_id
