"""Deleting what is of no use any more, beside live traffic.

No token outlives its session's `expires_at`, and a token whose session has no row is refused like
one whose session has ended: so a session that has expired can go. One that was ended stays until
the last token that it can have had has expired, so that no answer to such a token changes
(`user_inactive` is read with the row). Other services learn of the ending from the feed, which has
rows of its own: they stay until the session would have expired by itself.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from flask import current_app
from sqlalchemy import ColumnElement, delete, exc, func, select, true, tuple_, update
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate

from project.accounts import signing_keys
from project.clock import utcnow
from project.database.base import Base
from project.extensions import autocommit, db, transaction
from project.models import (
    AuditEvent,
    KnownNetwork,
    OneTimeToken,
    Outbox,
    Outcome,
    Revocation,
    Session,
    SigningKey,
    Throttle,
)

Value = TypeVar("Value")

BATCH_SIZE = 500
"""Rows of one transaction: few enough that nobody has to wait for it."""

MAX_RETRIES = 20
"""How often a batch may fail to get its turn to write to SQLite, each time after waiting for it."""

MARGIN = timedelta(days=1)
"""How long what is of no use is kept all the same: clocks differ, and requests are under way."""


ALL = true()


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Rows that are of no use when a moment of theirs is this long ago.

    The column is indexed, or every batch would read the whole table; where it is NULL, the row
    stays.
    """

    name: str
    table: type[Base]
    column: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]
    kept_for: Callable[[], timedelta] = timedelta
    where: ColumnElement[bool] = ALL


KNOWN_NETWORK_RETENTION = timedelta(days=365)
"""How long a network that has logged in to an account is let in while others guess at it."""


KEPT_WHEN_DONE = timedelta(days=7)
KEPT_WHEN_FAILED = timedelta(days=90)
HAS_NOT_FAILED = Outbox.outcome != Outcome.FAILED


def retention() -> timedelta:
    """Return how long the audit trail is kept."""
    return timedelta(days=current_app.config["AUDIT_RETENTION_DAYS"])


RETENTION_RULES = (
    RetentionRule("expired sessions", Session, Session.expires_at),
    RetentionRule("ended sessions", Session, Session.ended_at, signing_keys.longest_lifetime),
    RetentionRule("revocations", Revocation, Revocation.expires_at),
    RetentionRule("attempts", Throttle, Throttle.expires_at),
    RetentionRule(
        "networks", KnownNetwork, KnownNetwork.last_login_at, lambda: KNOWN_NETWORK_RETENTION
    ),
    RetentionRule("audit events", AuditEvent, AuditEvent.at, retention),
    RetentionRule("messages", Outbox, Outbox.done_at, lambda: KEPT_WHEN_DONE, HAS_NOT_FAILED),
    RetentionRule("one-time tokens", OneTimeToken, OneTimeToken.expires_at),
    RetentionRule("failed messages", Outbox, Outbox.done_at, lambda: KEPT_WHEN_FAILED),
)
PRIVATE_KEYS = "private keys"
NAMES = (*(perishable.name for perishable in RETENTION_RULES), PRIVATE_KEYS)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction has deleted."""

    name: str
    rows: int


def purge() -> Iterator[Batch]:
    """Delete what is of no use, a short transaction at a time; yield what each has deleted.

    Safe in many processes at once: what one is deleting, the others pass over.
    """
    for perishable in RETENTION_RULES:
        for rows in _delete(perishable):
            yield Batch(perishable.name, rows)
    yield Batch(PRIVATE_KEYS, _erase_private_keys())


def batches_due() -> int:
    """Return how many batches a purge would have now, or a few more."""
    batches = 1
    for perishable in RETENTION_RULES:
        rows = select(func.count()).select_from(perishable.table)
        due = rows.where(perishable.column <= _cutoff(perishable), perishable.where)
        counted = autocommit.first(due)
        batches += 1 + (counted[0] if counted else 0) // BATCH_SIZE
    return batches


def _delete(perishable: RetentionRule) -> Iterator[int]:
    """Delete the rows batch by batch, the oldest first; yield how many each batch had.

    Each begins where the one before has ended: PostgreSQL would else pass by all that was deleted
    before, until that is vacuumed.
    """
    cutoff = _cutoff(perishable)
    reached = datetime.min.replace(tzinfo=UTC)
    deleted = BATCH_SIZE
    while deleted == BATCH_SIZE:
        began = time.monotonic()
        moments = _with_retry(_batch(perishable, reached, cutoff))
        deleted, reached = len(moments), max(moments, default=reached)
        yield deleted
        _yield_to_writers(time.monotonic() - began)


def _batch(
    perishable: RetentionRule, reached: datetime, cutoff: datetime
) -> ReturningDelete[datetime]:
    """Return the statement that deletes the next rows, but those that somebody holds."""
    key = list(perishable.table.__table__.primary_key)
    oldest = (
        select(*key)
        .where(perishable.column.between(reached, cutoff), perishable.where)
        .order_by(perishable.column)
        .limit(BATCH_SIZE)
        .with_for_update(skip_locked=True)
        .cte("oldest")
    )
    these = tuple_(*key).in_(select(oldest))
    return delete(perishable.table).where(these).returning(perishable.column)


def _with_retry(statement: ReturningDelete[Value] | ReturningUpdate[Value]) -> Sequence[Value]:
    """Execute and commit a statement; return what it returns.

    A request that cannot write to SQLite in time is told so; an upkeep can wait for its turn.
    """
    for _ in range(MAX_RETRIES):
        try:
            return _committed(statement)
        except exc.OperationalError as error:
            if getattr(error.orig, "sqlite_errorname", None) != "SQLITE_BUSY":
                raise
    return _committed(statement)


def _committed(statement: ReturningDelete[Value] | ReturningUpdate[Value]) -> Sequence[Value]:
    with transaction():
        return db.session.scalars(statement).all()


def _yield_to_writers(seconds: float) -> None:
    """Rest for as long as this on SQLite, which has one writer at a time and no queue of them.

    Whoever waits looks again and again whether it is free, and would find it taken every time.
    """
    if db.engine.name == "sqlite":
        time.sleep(seconds)


def _cutoff(perishable: RetentionRule) -> datetime:
    return utcnow() - perishable.kept_for() - MARGIN


def _erase_private_keys() -> int:
    """Erase the private parts of expired keys; the rows stay, as the public part harms nobody."""
    expired = SigningKey.expires_at <= utcnow() - MARGIN
    kept = SigningKey.private_key != signing_keys.ERASED
    erasing = update(SigningKey).where(expired, kept).values(private_key=signing_keys.ERASED)
    return len(_with_retry(erasing.returning(SigningKey.id)))
