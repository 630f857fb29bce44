"""The audit trail: what was done to accounts, sessions and keys, and by whom.

An event is a row, written in the transaction of its operation: neither is there without the other.
An operation that has changed nothing records none. Once the transaction is committed the event is a
line of the log too, and is passed to the app's observers. No event holds a secret, nor the address
that was typed where no account has it: it may be a password in the wrong field.
"""

import logging
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import insert
from sqlalchemy.orm import Session as DatabaseSession

from project.accounts.actors import Actor
from project.clock import utcnow
from project.database.base import table_of
from project.extensions import db, write_connection
from project.models import AuditEvent

PENDING = "audit.untold"
OBSERVERS = "audit.observers"
INSERTING = insert(table_of(AuditEvent))

logger = logging.getLogger(__name__)


class Event(StrEnum):
    """What happened, as `subject.past_tense`; docs/logs.md says what each means."""

    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    ATTEMPT_THROTTLED = "attempt.throttled"
    THROTTLE_CLEARED = "throttle.cleared"
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "sessions.ended"
    REFRESH_TOKEN_REUSED = "refresh_token.reused"
    REFRESH_TOKEN_SHARED = "refresh_token.shared"
    USER_REGISTERED = "user.registered"
    USER_CREATED = "user.created"
    USER_DEACTIVATED = "user.deactivated"
    USER_ACTIVATED = "user.activated"
    USER_DELETED = "user.deleted"
    KEY_ROTATED = "key.rotated"
    KEY_RETIRED = "key.retired"
    PASSWORD_CHANGED = "password.changed"
    PASSWORD_RESET_CONFIRMED = "password_reset.confirmed"
    PASSWORD_REJECTED = "password.rejected"
    ACCOUNT_CLAIMED = "account.claimed"
    EMAIL_VERIFIED = "email.verified"
    NOTICE_DISOWNED = "notice.disowned"
    MAIL_FAILED = "mail.failed"


Observer = Callable[[Event, Mapping[str, Any]], None]
"""Gets an event once it is committed, with the fields of its log line."""


def observe(app: Flask, observer: Observer) -> None:
    """Pass every event of the app to the observer once it is committed."""
    app.extensions.setdefault(OBSERVERS, []).append(observer)


def record(
    event: Event,
    actor: Actor,
    *,
    user_id: int | None = None,
    session_id: UUID | None = None,
    **details: str | int,
) -> None:
    """Write an event within the caller's transaction; it is logged when that is committed.

    `by` is added to the details where somebody else than the user did it.
    """
    if actor.user_id not in (None, user_id):
        details["by"] = actor.user_id
    row = {
        "at": utcnow(),
        "event": event.value,
        "user_id": user_id,
        "session_id": session_id,
        "address": actor.address,
        "user_agent": actor.user_agent,
        "details": details,
    }
    write_connection().execute(INSERTING, row)
    told = {"user_id": user_id, "session_id": session_id and session_id.hex}
    line = {**told, "address": actor.address, **details}
    db.session.info.setdefault(PENDING, []).append((event, line))


@sqlalchemy_event.listens_for(db.session, "after_commit")
def tell(session: DatabaseSession) -> None:
    """Log what the transaction has recorded that has just been committed; inform the observers."""
    observers = current_app.extensions.get(OBSERVERS, ())
    for event, line in session.info.pop(PENDING, ()):
        logger.info(event.value, extra=line)
        for observer in observers:
            observer(event, line)


@sqlalchemy_event.listens_for(db.session, "after_rollback")
def forget(session: DatabaseSession) -> None:
    """Drop what was recorded in a transaction that came to nothing."""
    session.info.pop(PENDING, None)
