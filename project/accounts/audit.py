"""The audit trail: what was done to accounts, sessions and keys, and by whom.

An event is a row, written in the transaction of the deed: neither is there without the other. Once
that is committed it is a line of the log too. No event holds a secret, nor the address that was
typed where no account has it: it may be a password in the wrong field.
"""

import logging
from enum import StrEnum
from uuid import UUID

from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import insert
from sqlalchemy.orm import Session as DatabaseSession

from project.accounts.clients import Client
from project.api.models import AuditEvent
from project.clock import utcnow
from project.database.base import table_of
from project.extensions import db, writing

UNTOLD = "audit.untold"
INSERTING = insert(table_of(AuditEvent))

logger = logging.getLogger(__name__)


class Event(StrEnum):
    """What happened; docs/logs.md tells what each means and which details it has."""

    LOGIN_SUCCEEDED = "login.succeeded"
    LOGIN_FAILED = "login.failed"
    THROTTLE_REFUSED = "throttle.refused"
    THROTTLE_CLEARED = "throttle.cleared"
    SESSION_ENDED = "session.ended"
    SESSIONS_ENDED = "sessions.ended"
    REFRESH_REUSED = "refresh.reused"
    USER_REGISTERED = "user.registered"
    USER_CREATED = "user.created"
    USER_DEACTIVATED = "user.deactivated"
    USER_ACTIVATED = "user.activated"
    USER_DELETED = "user.deleted"
    KEY_ROTATED = "key.rotated"
    KEY_RETIRED = "key.retired"
    MAIL_FAILED = "mail.failed"


def record(
    event: Event,
    client: Client,
    *,
    user_id: int | None = None,
    session_id: UUID | None = None,
    **details: str | int,
) -> None:
    """Write an event within the caller's transaction; it is logged when that is committed.

    `by` is added to the details where somebody else than the user did it.
    """
    if client.user_id not in (None, user_id):
        details["by"] = client.user_id
    row = {
        "at": utcnow(),
        "event": event.value,
        "user_id": user_id,
        "session_id": session_id,
        "address": client.address,
        "user_agent": client.user_agent,
        "details": details,
    }
    writing().execute(INSERTING, row)
    told = {"user_id": user_id, "session_id": session_id and session_id.hex}
    line = {**told, "address": client.address, **details}
    db.session.info.setdefault(UNTOLD, []).append((event.value, line))


@sqlalchemy_event.listens_for(db.session, "after_commit")
def tell(session: DatabaseSession) -> None:
    """Log what was recorded in the transaction that has just been committed."""
    for event, line in session.info.pop(UNTOLD, ()):
        logger.info(event, extra=line)


@sqlalchemy_event.listens_for(db.session, "after_rollback")
def forget(session: DatabaseSession) -> None:
    """Drop what was recorded in a transaction that came to nothing."""
    session.info.pop(UNTOLD, None)
