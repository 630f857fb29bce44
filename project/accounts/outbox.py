"""The outbox: messages that are sent if, and only if, the operation that queued them is committed.

`queue` and `cancel` run in the caller's transaction. The commit wakes the delivery loop in
`project/delivery/`, which sends the messages.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, func, insert, select, update

from project.clock import utcnow
from project.database.base import table_of
from project.extensions import autocommit, db, run_after_commit, transaction, write_connection
from project.models import Outbox, Outcome

TABLE = table_of(Outbox)
INSERTING = insert(TABLE)

on_commit: list[Callable[[], None]] = []
"""Callbacks that run after the commit of a transaction that queued a message."""


def queue(  # noqa: PLR0913  # each is a column
    kind: str,
    *,
    recipient: str,
    language: str,
    payload: dict[str, str],
    expires_at: datetime,
    user_id: int | None = None,
    delay: timedelta = timedelta(0),
) -> UUID:
    """Insert a message into the caller's transaction; return its id.

    `kind` includes its prefix, as in `mail.password_reset`. The message is not sent after
    `expires_at`.
    """
    now = utcnow()
    row = {
        "id": uuid4(),
        "kind": kind,
        "recipient": recipient,
        "user_id": user_id,
        "language": language,
        "payload": payload,
        "created_at": now,
        "due_at": now + delay,
        "expires_at": expires_at,
        "attempts": 0,
        "deferrals": 0,
    }
    write_connection().execute(INSERTING, row)
    run_after_commit(_wake)
    return row["id"]  # type: ignore[return-value]  # the row has values of many types


def cancel(*which: ColumnElement[bool], reason: str = "") -> int:
    """Cancel waiting messages within the caller's transaction; return their number.

    For example `cancel(Outbox.user_id == user_id, Outbox.kind != "mail.account_deleted")`.
    """
    cancelling = (
        update(TABLE)
        .where(Outbox.done_at.is_(None), *which)
        .values(
            done_at=utcnow(),
            outcome=Outcome.CANCELLED,
            reason=reason or None,
            recipient=None,
            lease=None,
        )
    )
    return write_connection().execute(cancelling).rowcount


def erase(*which: ColumnElement[bool]) -> None:
    """Cancel waiting messages and erase the recipients of failed ones.

    Runs within the caller's transaction.
    """
    cancel(*which, reason="deleted")
    erasing = update(TABLE).where(Outbox.recipient.is_not(None), *which)
    write_connection().execute(erasing.values(recipient=None))


def cancel_all(*which: ColumnElement[bool], reason: str) -> int:
    """Cancel waiting messages and commit; return their number."""
    with transaction():
        return cancel(*which, reason=reason)


def retry(*which: ColumnElement[bool]) -> int:
    """Make failed messages due again unless they have expired; return their number."""
    now = utcnow()
    retrying = (
        update(TABLE)
        .where(Outbox.outcome == Outcome.FAILED, Outbox.recipient.is_not(None), *which)
        .where(Outbox.expires_at > now)
        .values(done_at=None, outcome=None, reason=None, due_at=now, attempts=0, deferrals=0)
    )
    with transaction():
        run_after_commit(_wake)
        return write_connection().execute(retrying).rowcount


def listed(*which: ColumnElement[bool], limit: int) -> Sequence[Outbox]:
    """Return messages, oldest first."""
    return db.session.scalars(
        select(Outbox).where(*which).order_by(Outbox.created_at, Outbox.id).limit(limit)
    ).all()


def pending() -> dict[str, int]:
    """Return the number of waiting messages by kind."""
    waiting = select(Outbox.kind, func.count()).where(Outbox.done_at.is_(None))
    return dict(autocommit.all(waiting.group_by(Outbox.kind)))


def overdue() -> timedelta:
    """Return how long the oldest due message has been due."""
    now = utcnow()
    oldest = select(func.min(Outbox.due_at)).where(Outbox.done_at.is_(None), Outbox.due_at <= now)
    row = autocommit.first(oldest)
    return now - row[0] if row and row[0] else timedelta(0)


def _wake() -> None:
    for wake in on_commit:
        wake()
