"""The audit trail of accounts, sessions and keys: what happened, and who did it.

An event is a row that is written in the transaction of its operation, so both are committed or
neither is. An operation that changes nothing records no event. After the commit the event is logged
and passed to the app's observers. No event contains a secret, nor the e-mail address of a login to
an unknown account: it may be a password in the wrong field.
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

PENDING = "audit.pending"
OBSERVERS = "audit.observers"
INSERT_EVENT = insert(table_of(AuditEvent))

logger = logging.getLogger(__name__)


class Event(StrEnum):
    """The kinds of events, named `subject.past_tense` and described in docs/logs.md."""

    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    ATTEMPT_THROTTLED = "attempt.throttled"
    THROTTLE_CLEARED = "throttle.cleared"
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "sessions.ended"
    SESSION_REAUTHENTICATED = "session.reauthenticated"
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
    USERNAME_CHANGED = "username.changed"
    ACCOUNT_EXPORTED = "account.exported"
    ACCOUNT_DELETION_REQUESTED = "account_deletion.requested"
    EMAIL_VERIFIED = "email.verified"
    NOTICE_DISOWNED = "notice.disowned"
    MAIL_FAILED = "mail.failed"


Observer = Callable[[Event, Mapping[str, Any]], None]
"""Called with each committed event and the fields of its log line."""


def observe(app: Flask, observer: Observer) -> None:
    """Call the observer with every event of the app, after its commit."""
    app.extensions.setdefault(OBSERVERS, []).append(observer)


def record(
    event: Event,
    actor: Actor,
    *,
    user_id: int | None = None,
    session_id: UUID | None = None,
    **details: str | int,
) -> None:
    """Record an event within the caller's transaction; it is logged after the commit.

    `by` is added to the details if the actor is another user.
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
    write_connection().execute(INSERT_EVENT, row)
    ids = {"user_id": user_id, "session_id": session_id and session_id.hex}
    fields = {**ids, "address": actor.address, **details}
    db.session.info.setdefault(PENDING, []).append((event, fields))


@sqlalchemy_event.listens_for(db.session, "after_commit")
def log_committed(session: DatabaseSession) -> None:
    """Log the events of a committed transaction, and call the observers."""
    observers = current_app.extensions.get(OBSERVERS, ())
    for event, fields in session.info.pop(PENDING, ()):
        logger.info(event.value, extra=fields)
        for observer in observers:
            observer(event, fields)


@sqlalchemy_event.listens_for(db.session, "after_rollback")
def discard(session: DatabaseSession) -> None:
    """Discard the events of a transaction that was rolled back."""
    session.info.pop(PENDING, None)
