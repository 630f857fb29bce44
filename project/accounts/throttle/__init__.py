"""The throttle: rate limits with backoff against guessing.

An attempt is counted before any costly work. One SQL statement counts it under every policy of its
group and decides whether to admit it, so that the limits also hold for concurrent attempts. An
attempt that succeeds, or that an outage interrupts, is refunded. `policies` defines the policies.

A subject that reaches a limit is blocked until its backoff or window ends. An attacker can block
the owner of an account in this way: from the same network or, with many attempts, from other
networks. A device token prevents this, since its policies count the owner's attempts separately.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from operator import attrgetter
from typing import NoReturn

from flask import current_app
from sqlalchemy import ColumnElement, Connection, Row, delete, or_, select, tuple_, update
from sqlalchemy.exc import SQLAlchemyError

from project.accounts import audit, directory
from project.accounts.actors import COMMAND, Actor
from project.accounts.audit import Event
from project.accounts.throttle import policies, statements
from project.accounts.throttle.policies import Group, OnSuccess, Policy, Subjects
from project.clock import utcnow
from project.errors import Overloaded, TooManyAttempts
from project.extensions import autocommit, db, end_transaction, transaction, write_connection
from project.models import Throttle, User
from project.security import addresses, identifiers


@dataclass(frozen=True, slots=True)
class Count:
    """The count of one attempt under one policy."""

    policy: Policy
    subject: str
    number: int
    """The number of this attempt in its window, starting at 1."""
    blocked_until: datetime
    """The end of the block that this attempt caused; in the past if it caused none."""


@dataclass(slots=True)
class Attempt:
    """An attempt and its counts. There are no counts if the throttle is disabled."""

    counts: list[Count] = field(default_factory=list)
    has_failed: bool = False

    def fail(self) -> None:
        """Mark the attempt as failed, so that an outage does not refund it."""
        self.has_failed = True

    def succeed(self) -> None:
        """Refund or clear the counts as their policies define, within the caller's transaction."""
        for count in self.counts:
            _settle(write_connection(), count)


@contextmanager
def attempt(*groups: Group, subjects: Subjects) -> Iterator[Attempt]:
    """Count an attempt; refund it if an outage interrupts the `with` block.

    The attempt is counted under the first group that admits it. If none does, this raises
    TooManyAttempts for the last group. A failed attempt is not refunded. While the database is
    unavailable, no attempt is refunded.
    """
    made = Attempt()
    try:
        if current_app.config["THROTTLE_ENABLED"]:
            _count_in_first_group(made, groups, subjects)
        yield made
    except (Overloaded, SQLAlchemyError):
        end_transaction()
        if not made.has_failed:
            with suppress(SQLAlchemyError):
                _refund(made.counts)
        raise


def count(*groups: Group, subjects: Subjects) -> None:
    """Count an attempt that is never refunded. Raises TooManyAttempts."""
    with attempt(*groups, subjects=subjects) as made:
        made.fail()


def count_write(user_id: int, actor: Actor) -> None:
    """Count a write request of this user. Raises TooManyAttempts."""
    count(policies.WRITING, subjects=Subjects(actor, user_id=user_id))


def admits(policy: Policy, subjects: Subjects) -> bool:
    """Count an attempt within the caller's transaction; return whether the limit allows it."""
    subject, is_on = policy.subject_of(subjects), current_app.config["THROTTLE_ENABLED"]
    return not is_on or not subject or _count_within(write_connection(), policy.rule, subject)


def remember_network(user_id: int, network: str, last_login_at: datetime | None = None) -> None:
    """Record a login to the account from this network, within the caller's transaction.

    Sends no statement if `last_login_at`, the recorded last login, is less than a day ago.
    """
    now = utcnow()
    if last_login_at is None or now - last_login_at > timedelta(days=1):
        statement = statements.build_network_upsert(db.engine.dialect.name)
        write_connection().execute(
            statement, {"user_id": user_id, "network": network, "last_login_at": now}
        )


def list_counts(name: str | None = None) -> Sequence[Row[str, str, int, datetime]]:
    """Return the current counters: all, or those of an e-mail address or a network.

    Each row has `scope`, `subject`, `count` and `blocked_until`.
    """
    columns = select(Throttle.scope, Throttle.subject, Throttle.count, Throttle.blocked_until)
    current = columns.where(Throttle.expires_at > utcnow(), *_match_name(name))
    return db.session.execute(current.order_by(Throttle.scope, Throttle.subject)).all()


def clear(name: str | None = None, actor: Actor = COMMAND) -> int:
    """Delete all counters, or those of an e-mail address or a network; return their number.

    Each scope has its own transaction. A single transaction could lock the rows of several scopes
    in another order than a login does, and so cause a deadlock.
    """
    where, cleared = _match_name(name), 0
    for scope in policies.SCOPES:
        clearing = delete(Throttle).where(Throttle.scope == scope, *where)
        with transaction():
            cleared += len(db.session.scalars(clearing.returning(Throttle.count)).all())
    if cleared:
        with transaction():
            audit.record(Event.THROTTLE_CLEARED, actor, count=cleared)
    return cleared


def erase(user_id: int, email_key: str) -> None:
    """Delete the counters of an account and of its address, within the caller's transaction.

    Two kinds expire by themselves: a counter that another transaction is changing, since waiting
    for it could deadlock, and those of mail to the address, whose limits a deletion must not lift.
    """
    parts = [str(user_id), email_key, policies.digest(email_key)]
    is_other = Throttle.scope.not_in(policies.KEPT_AT_ERASURE)
    counters = select(Throttle.scope, Throttle.subject).where(_match_parts(parts), is_other)
    unlocked = counters.with_for_update(skip_locked=True).cte("unlocked")
    key = tuple_(Throttle.scope, Throttle.subject)
    write_connection().execute(delete(Throttle).where(key.in_(select(unlocked))))


def _match_name(name: str | None) -> list[ColumnElement[bool]]:
    """Return the condition that a counter belongs to this e-mail address, IP address or network."""
    return [] if name is None else [_match_parts(_subject_parts(name))]


def _match_parts(parts: Sequence[str]) -> ColumnElement[bool]:
    subject = Throttle.subject
    return or_(
        *(subject == part for part in parts),
        *(subject.startswith(f"{part} ", autoescape=True) for part in parts),
        *(subject.endswith(f" {part}", autoescape=True) for part in parts),
    )


def _subject_parts(name: str) -> list[str]:
    """Return the stored forms of an e-mail address, IP address or network.

    A stored subject is one of these, or a pair that contains one of these.
    """
    network = addresses.network(name)
    if network != addresses.UNKNOWN:
        wider = (addresses.wider_network(name, length) for length in (56, 48))
        return [name, network, *filter(None, wider)]
    user_id = directory.find_id(name)
    known = [] if user_id is None else [str(user_id)]
    return [name, policies.digest(identifiers.email_key(name)), *known]


def _count_in_first_group(made: Attempt, groups: tuple[Group, ...], subjects: Subjects) -> None:
    """Count an attempt under the first group that admits it. Raises TooManyAttempts."""
    now = utcnow()
    for group in groups:
        named = {policy: subject for policy in group if (subject := policy.subject_of(subjects))}
        made.counts += _increment(named, now)
        if len(made.counts) == sum(policy.is_counted for policy in named):
            return
        # A concurrent attempt has blocked one of the subjects.
        _refund(made.counts)
        made.counts.clear()
    _reject(named, subjects, now)


def _increment(named: dict[Policy, str], now: datetime) -> list[Count]:
    """Count an attempt under each policy with one statement, without a transaction."""
    if not named:
        return []
    rules = tuple(policy.rule for policy in named)
    parameters = {f"subject_{position}": each for position, each in enumerate(named.values())}
    rows = autocommit.fetch_all(
        statements.build_increment(autocommit.engine.dialect.name, rules), **parameters, now=now
    )
    found = {scope: (number, blocked_until) for scope, blocked_until, number in rows}
    return [
        Count(policy, subject, *found[policy.name])
        for policy, subject in named.items()
        if policy.name in found
    ]


def _reject(named: dict[Policy, str], subjects: Subjects, now: datetime) -> NoReturn:
    """Raise TooManyAttempts for the longest block; record the first rejection of each block."""
    blocks = select(Throttle.scope, Throttle.blocked_until, Throttle.audited_until)
    subject_of = {policy.name: subject for policy, subject in named.items()}
    rows = db.session.execute(
        blocks.where(_match_subjects(subject_of), Throttle.blocked_until > now)
    ).all()
    row = max(rows, key=attrgetter("blocked_until"), default=None)
    policy = next((each for each in named if row and each.name == row.scope), next(iter(named)))
    if row is not None and row.audited_until != row.blocked_until:
        _record_rejection(policy, named[policy], subjects)
    wait = row.blocked_until - now if row is not None else timedelta(0)
    raise TooManyAttempts(
        policy=policy.name,
        quota=policy.limit.quota,
        window=statements.to_seconds(policy.limit.window),
        wait=max(1, ceil(wait.total_seconds())),
    )


def _record_rejection(policy: Policy, subject: str, subjects: Subjects) -> None:
    """Record the first rejection of a block, unless another process has recorded it."""
    is_new = Throttle.audited_until.is_distinct_from(Throttle.blocked_until)
    unrecorded = update(Throttle).where(_match_subjects({policy.name: subject}), is_new)
    recorded = unrecorded.values(audited_until=Throttle.blocked_until)
    with transaction():
        if db.session.scalar(recorded.returning(Throttle.count)) is None:
            return
        found = select(User.id).where(User.email_key == subjects.email_key)
        user_id = subjects.user_id or db.session.scalar(found)
        audit.record(Event.ATTEMPT_THROTTLED, subjects.actor, user_id=user_id, scope=policy.name)


def _settle(connection: Connection, count: Count) -> None:
    """Refund or clear one count, as its policy defines for a success."""
    match count.policy.on_success:
        case OnSuccess.REFUND:
            _refund_one(connection, count)
        case OnSuccess.CLEAR_WITHIN_LIMIT if count.number > 1 and _may_clear(connection, count):
            connection.execute(statements.DELETE, _key(count))
        case OnSuccess.CLEAR_WITHIN_LIMIT:
            _refund_one(connection, count)


def _may_clear(connection: Connection, count: Count) -> bool:
    """Count the clearing of a counter; return whether the limit of clearings allows it."""
    # Otherwise each login of the owner would allow an attacker in the same network, or with a
    # stolen device token, to continue guessing.
    return _count_within(connection, policies.CLEARING, count.subject)


def _count_within(connection: Connection, rule: statements.Rule, subject: str) -> bool:
    """Count in the transaction of a connection; return whether the limit allows it."""
    statement = statements.build_increment(connection.dialect.name, (rule,))
    parameters = {"subject_0": subject, "now": utcnow()}
    return connection.execute(statement.statement, parameters).first() is not None


def _refund(counts: list[Count]) -> None:
    """Refund these counts in a transaction of their own."""
    if counts:
        with transaction():
            for count in counts:
                _refund_one(write_connection(), count)


def _refund_one(connection: Connection, count: Count) -> None:
    """Refund one count and end the block that it caused; delete the row if its counter is 0."""
    delete_last = statements.DELETE_LAST
    if count.number == 1 and connection.execute(delete_last, _key(count)).rowcount:
        return
    block = {"quota": count.policy.limit.quota, "block": count.blocked_until}
    left = connection.execute(statements.REFUND, _key(count) | block).first()
    if left is not None and left[0] == 0:
        connection.execute(delete_last, _key(count))


def _key(count: Count) -> dict[str, object]:
    return {"of_scope": count.policy.name, "of_subject": count.subject}


def _match_subjects(subject_of: Mapping[str, str]) -> ColumnElement[bool]:
    return tuple_(Throttle.scope, Throttle.subject).in_(list(subject_of.items()))
