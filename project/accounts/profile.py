"""The caller's account: return it, and change its username and language.

A former username stays reserved for its account for 30 days, so that nobody can pose as its owner.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, delete, exc, select, update
from sqlalchemy.orm import aliased

from project.accounts import audit, email, reauthentication, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Account, Addressee, change
from project.accounts.sessions import Principal
from project.accounts.throttle.policies import RENAMING, WRITING, Subjects
from project.clock import utcnow
from project.database.writes import upsert
from project.errors import SessionEnded, UserExists
from project.extensions import autocommit, transaction, write_connection
from project.models import ReservedUsername, User
from project.security import identifiers

RESERVATION = timedelta(days=30)
NEW_ACCOUNT = 0
"""Stands for the user id of an account that is not inserted yet."""

OTHER = aliased(User)
BY_ID = select(
    User.id, User.username, User.email, User.active, User.admin, User.created_at, User.language,
    User.email_verified_at.is_not(None).label("email_verified"),
    User.mail_refused_at.is_not(None).label("mail_refused"),
).where(User.id == bindparam("user_id"))  # fmt: skip


def get(user_id: int) -> dict[str, Any]:
    """Return the account of a user with its pending address. Raises SessionEnded."""
    account = autocommit.first(BY_ID, user_id=user_id)
    if account is None:
        raise SessionEnded
    pending = change.pending(user_id) if email.is_on() else None
    return {**account._mapping, "pending_email": pending}


def update_account(principal: Principal, changes: Mapping[str, str | None], actor: Actor) -> None:
    """Change the username, the language or both.

    Raises TooManyAttempts and, for the username, UserExists or ReauthenticationRequired.
    """
    username = changes.get("username") or principal.username
    is_renamed = username != principal.username
    if is_renamed:
        reauthentication.check_recent(principal)
    subjects = Subjects(actor, user_id=principal.id)
    throttle.count(RENAMING if is_renamed else WRITING, subjects=subjects)
    with transaction():
        account = _lock(principal.id)
        if is_renamed:
            _rename(account, username, actor)
        if "language" in changes:
            changing = update(User).where(User.id == account.id)
            write_connection().execute(changing.values(language=changes["language"]))


def is_available(username_key: str, user_id: int = NEW_ACCOUNT) -> ColumnElement[bool]:
    """Return the condition that a username is neither in use nor reserved for another account.

    Use it in the statement that writes the username. A rename frees the former username and
    reserves it in one transaction, so a single statement always sees it as in use or as reserved.
    Two statements could see it as neither.
    """
    used = select(OTHER.id).where(OTHER.username_key == username_key, OTHER.id != user_id)
    reserved = select(ReservedUsername.username_key).where(
        ReservedUsername.username_key == username_key,
        ReservedUsername.expires_at > utcnow(),
        ReservedUsername.user_id.is_distinct_from(user_id),
    )
    return and_(~used.exists(), ~reserved.exists())


def _lock(user_id: int) -> Account:
    """Lock a user until the transaction ends. Raises SessionEnded if it was deleted."""
    columns = (User.id, User.email, User.username_key, User.language)
    locked = select(*columns).where(User.id == user_id).with_for_update()
    account = write_connection().execute(locked).first()
    if account is None:
        raise SessionEnded
    return account


def _rename(account: Account, username: str, actor: Actor) -> None:
    """Change the username within the caller's transaction. Raises UserExists."""
    key = identifiers.username_key(username)
    renaming = update(User).where(User.id == account.id, is_available(key, account.id))
    renaming = renaming.values(username=username, username_key=key)
    try:
        renamed = write_connection().execute(renaming).rowcount
    except exc.IntegrityError:  # a registration with this username was committed meanwhile
        raise UserExists from None
    if not renamed:
        raise UserExists
    if key != account.username_key:
        _reserve(account.username_key, account.id, key)
    audit.record(Event.USERNAME_CHANGED, actor, user_id=account.id)
    addressee = Addressee(account.id, account.email, account.language)
    email.notify("username_changed", addressee, actor)


def _reserve(former_key: str, user_id: int, new_key: str) -> None:
    """Reserve the former username, and end the reservation of the new one."""
    row = {"user_id": user_id, "expires_at": utcnow() + RESERVATION}
    connection = write_connection()
    connection.execute(delete(ReservedUsername).where(ReservedUsername.username_key == new_key))
    connection.execute(
        upsert(connection.dialect.name, ReservedUsername, {"username_key": former_key, **row}, row)
    )
