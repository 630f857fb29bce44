"""The SQL statements that claim a message and record its outcome.

Each statement runs on an autocommit connection, and none runs while a message is being sent.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, exc, select, update
from sqlalchemy.sql.selectable import TypedReturnsRows

from project.accounts.messages import FAREWELL, PREFIX, Claimed
from project.clock import utcnow
from project.database.base import table_of
from project.extensions import autocommit
from project.models import Outbox, Outcome

LEASE = timedelta(seconds=120)
"""The duration of a claim: twice the time limit for sending a message."""

PATIENCE = 20
"""Number of retries of a statement while another connection writes to SQLite."""

WAITS = tuple(timedelta(seconds=seconds) for seconds in (10, 30, 60, 120, 300, 900, 1800, 3600))
"""The wait before a deferred message is retried, by its number of deferrals."""

TABLE = table_of(Outbox)


def claim(prefix: str) -> Claimed | None:
    """Claim the longest-due message of the kinds with this prefix."""
    now = utcnow()
    waiting = (
        select(TABLE.c.id, TABLE.c.due_at)
        .where(TABLE.c.done_at.is_(None), TABLE.c.due_at <= now, TABLE.c.kind.startswith(prefix))
        .order_by(TABLE.c.due_at)
        .limit(1)
    )
    if autocommit.first(waiting) is None:  # on SQLite, even an empty claim locks the database
        return None
    due = waiting.with_for_update(skip_locked=True).cte("due").prefix_with("MATERIALIZED")
    lease = uuid4()
    claiming = (
        update(TABLE)
        .where(TABLE.c.id.in_(select(due.c.id)))
        .values(attempts=TABLE.c.attempts + 1, due_at=now + LEASE, lease=lease)
        .returning(TABLE, select(due.c.due_at).scalar_subquery().label("was_due_at"))
    )
    row = _first_in_turn(claiming)
    return None if row is None else _claimed(row)


def finish(message: Claimed, outcome: Outcome, reason: str = "") -> bool:
    """Record the outcome of a message; return False if this process has lost the lease."""
    values: dict[str, Any] = {"done_at": utcnow(), "outcome": outcome, "reason": reason or None}
    # The farewell of an erased account would keep its address.
    if outcome is not Outcome.FAILED or message.kind == PREFIX + FAREWELL:
        values["recipient"] = None
    return _update(message, **values)


def release(message: Claimed) -> bool:
    """Undo a claim: restore the due time and the number of attempts."""
    return _update(message, due_at=message.was_due_at, attempts=message.attempts - 1, lease=None)


def defer(message: Claimed, reason: str) -> bool:
    """Schedule a retry; the wait grows with each deferral."""
    wait = WAITS[min(message.deferrals, len(WAITS) - 1)]
    return _update(
        message,
        due_at=utcnow() + wait,
        deferrals=message.deferrals + 1,
        lease=None,
        reason=reason,
    )


def next_due_at(prefix: str) -> datetime | None:
    """Return the due time of the next message, which may be in the past."""
    of_kinds = TABLE.c.kind.startswith(prefix)
    waiting = select(TABLE.c.due_at).where(TABLE.c.done_at.is_(None), of_kinds)
    row = autocommit.first(waiting.order_by(TABLE.c.due_at).limit(1))
    return None if row is None else row[0]


def _update(message: Claimed, **values: Any) -> bool:
    mine = (
        TABLE.c.id == message.id,
        TABLE.c.lease == message.lease,
        TABLE.c.done_at.is_(None),
    )
    return (
        _first_in_turn(update(TABLE).where(*mine).values(values).returning(TABLE.c.id)) is not None
    )


def _first_in_turn(statement: TypedReturnsRows[*tuple[Any, ...]]) -> Row[*tuple[Any, ...]] | None:
    """Return the statement's first row; retry while another connection writes to SQLite."""
    for _ in range(PATIENCE):
        try:
            return autocommit.first(statement)
        except exc.OperationalError as error:
            if getattr(error.orig, "sqlite_errorname", None) != "SQLITE_BUSY":
                raise
    return autocommit.first(statement)


def _claimed(row: Row[*tuple[Any, ...]]) -> Claimed:
    columns = row._mapping
    return Claimed(**{name: columns[name] for name in Claimed.__dataclass_fields__})
