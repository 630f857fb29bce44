"""Deletion of expired rows in small batches, during live traffic.

An expired session can be deleted: no token outlives its session's `expires_at`, and a token without
a session row is rejected like one of an ended session. An ended session is kept until its last
token has expired, since the error for such a token may depend on the row (`user_inactive`). The
revocation feed, which other services read, has its own rows: they are kept until the session would
have expired.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

from flask import current_app
from sqlalchemy import ColumnElement, delete, exc, func, select, true, tuple_, update
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.dml import ReturningDelete, ReturningUpdate

from project.accounts import lifecycle, signing_keys
from project.accounts.email import verification
from project.accounts.lifecycle import deletion
from project.clock import utcnow
from project.database.base import Base
from project.extensions import autocommit, db, transaction
from project.models import (
    AuditEvent,
    KnownNetwork,
    OneTimeToken,
    Outbox,
    Outcome,
    ReservedUsername,
    Revocation,
    Session,
    SigningKey,
    Throttle,
)

Value = TypeVar("Value")

BATCH_SIZE = 500
"""Rows per transaction: few enough not to delay other writers."""

MAX_RETRIES = 20
"""Retries of a batch that cannot acquire SQLite's write lock."""

MARGIN = timedelta(days=1)
"""Extra retention of expired rows, for differing clocks and requests in progress."""

ALL = true()


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Delete the rows of a table once the time in `column` is `period` ago.

    The column needs an index, or every batch reads the whole table. A row with NULL is kept.
    """

    name: str
    table: type[Base]
    column: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None]
    period: Callable[[], timedelta] = timedelta
    condition: ColumnElement[bool] = ALL


KNOWN_NETWORK_RETENTION = timedelta(days=365)
"""Time for which a network stays exempt from an account's rate limit after its last login."""

DONE_MESSAGE_RETENTION = timedelta(days=7)
FAILED_MESSAGE_RETENTION = timedelta(days=90)
HAS_NOT_FAILED = Outbox.outcome != Outcome.FAILED


def audit_retention() -> timedelta:
    """Return the retention period of the audit trail."""
    return timedelta(days=current_app.config["AUDIT_RETENTION_DAYS"])


RETENTION_RULES = (
    RetentionRule("expired sessions", Session, Session.expires_at),
    RetentionRule("ended sessions", Session, Session.ended_at, signing_keys.max_token_lifetime),
    RetentionRule("revocations", Revocation, Revocation.expires_at),
    RetentionRule("attempts", Throttle, Throttle.expires_at),
    RetentionRule(
        "networks", KnownNetwork, KnownNetwork.last_login_at, lambda: KNOWN_NETWORK_RETENTION
    ),
    RetentionRule("audit events", AuditEvent, AuditEvent.at, audit_retention),
    RetentionRule(
        "messages", Outbox, Outbox.done_at, lambda: DONE_MESSAGE_RETENTION, HAS_NOT_FAILED
    ),
    RetentionRule("one-time tokens", OneTimeToken, OneTimeToken.expires_at),
    RetentionRule("reserved usernames", ReservedUsername, ReservedUsername.expires_at),
    RetentionRule("failed messages", Outbox, Outbox.done_at, lambda: FAILED_MESSAGE_RETENTION),
)
UNVERIFIED_ACCOUNTS = "unverified accounts"
PRIVATE_KEYS = "private keys"
DELETED_ACCOUNTS = "deleted accounts"
NAMES = (
    *(rule.name for rule in RETENTION_RULES), UNVERIFIED_ACCOUNTS, PRIVATE_KEYS, DELETED_ACCOUNTS
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Batch:
    """The number of rows that one transaction has deleted under a rule."""

    name: str
    rows: int


def purge() -> Iterator[Batch]:
    """Delete expired rows in short transactions; yield the result of each.

    Several processes may run it at once: each skips the rows that another is deleting.
    """
    for rule in RETENTION_RULES:
        for rows in _delete(rule):
            yield Batch(rule.name, rows)
    for rows in _delete_unverified():
        yield Batch(UNVERIFIED_ACCOUNTS, rows)
    yield Batch(PRIVATE_KEYS, _erase_private_keys())
    yield Batch(DELETED_ACCOUNTS, _with_retry(deletion.erase_due))


def count_due_batches() -> int:
    """Return an estimate of the number of batches that a purge would take now."""
    batches = 2
    for rule in RETENTION_RULES:
        rows = select(func.count()).select_from(rule.table)
        due = rows.where(rule.column <= _cutoff(rule), rule.condition)
        counted = autocommit.first(due)
        batches += 1 + (counted[0] if counted else 0) // BATCH_SIZE
    return batches


def _delete(rule: RetentionRule) -> Iterator[int]:
    """Delete the rows in batches, oldest first; yield the size of each batch.

    Each batch starts where the previous one ended: PostgreSQL would otherwise scan all deleted rows
    again, until they are vacuumed.
    """
    cutoff = _cutoff(rule)
    start = datetime.min.replace(tzinfo=UTC)
    deleted = BATCH_SIZE
    while deleted == BATCH_SIZE:
        began = time.monotonic()
        times = _with_retry(partial(_execute, _build_batch(rule, start, cutoff)))
        deleted, start = len(times), max(times, default=start)
        yield deleted
        _yield_to_writers(time.monotonic() - began)


def _build_batch(
    rule: RetentionRule, start: datetime, cutoff: datetime
) -> ReturningDelete[datetime]:
    """Return the statement that deletes the next batch, except locked rows."""
    key = list(rule.table.__table__.primary_key)
    oldest = (
        select(*key)
        .where(rule.column.between(start, cutoff), rule.condition)
        .order_by(rule.column)
        .limit(BATCH_SIZE)
        .with_for_update(skip_locked=True)
        .cte("oldest")
    )
    in_batch = tuple_(*key).in_(select(oldest))
    return delete(rule.table).where(in_batch).returning(rule.column)


def _delete_unverified() -> Iterator[int]:
    """Delete accounts that are older than UNVERIFIED_LIFETIME and were never verified.

    Yields the size of each batch. Each account has a transaction of its own.
    """
    lifetime = current_app.config["UNVERIFIED_LIFETIME"]
    if lifetime is None or not verification.is_on():
        return
    created_before = utcnow() - lifetime
    while found := lifecycle.list_unverified(created_before, BATCH_SIZE):
        began = time.monotonic()
        yield sum(_with_retry(partial(lifecycle.remove_unverified, each)) for each in found)
        _yield_to_writers(time.monotonic() - began)


def _with_retry(work: Callable[[], Value]) -> Value:
    """Do some work, retrying while SQLite is locked; return its result.

    A request would fail after one time-out, but a purge can wait.
    """
    for _ in range(MAX_RETRIES):
        try:
            return work()
        except exc.OperationalError as error:
            if getattr(error.orig, "sqlite_errorname", None) != "SQLITE_BUSY":
                raise
    return work()


def _execute(statement: ReturningDelete[Value] | ReturningUpdate[Value]) -> Sequence[Value]:
    """Execute and commit a statement; return its result."""
    with transaction():
        return db.session.scalars(statement).all()


def _yield_to_writers(seconds: float) -> None:
    """Pause on SQLite, which has a single writer and no queue.

    Waiting writers poll the lock, and would find it locked each time without a pause.
    """
    if db.engine.name == "sqlite":
        time.sleep(seconds)


def _cutoff(rule: RetentionRule) -> datetime:
    return utcnow() - rule.period() - MARGIN


def _erase_private_keys() -> int:
    """Erase the private keys of expired signing keys; the rows with the public keys are kept."""
    expired = SigningKey.expires_at <= utcnow() - MARGIN
    not_erased = SigningKey.private_key != signing_keys.ERASED
    erasing = update(SigningKey).where(expired, not_erased).values(private_key=signing_keys.ERASED)
    return len(_with_retry(partial(_execute, erasing.returning(SigningKey.id))))
