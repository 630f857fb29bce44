"""The throttle: counts attempts, so that nobody guesses for long.

An attempt is counted before anything costly is done for it, under every policy of its group, by
one statement that counts and decides at once. So of many attempts at the same time exactly as many
are admitted as the limit allows. An attempt that succeeds, or that an outage ends, is refunded. The
policies are in `policies`.

Beyond a limit the subject waits; no subject is blocked for good. Others can block a client that
has no device token: they can use up the account's limit, or, from the client's own network, that of
this network at the account. An attempt with a valid device token is counted under the token alone.
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
from project.accounts.throttle.policies import Group, Policy, Subjects, Success
from project.clock import utcnow
from project.errors import Overloaded, TooManyAttempts
from project.extensions import autocommit, db, write_connection
from project.models import Throttle, User
from project.security import addresses, identifiers


@dataclass(frozen=True, slots=True)
class Count:
    """One count of an attempt."""

    policy: Policy
    subject: str
    number: int
    """How many attempts were counted then, with this one."""
    blocked_until: datetime
    """Until when this attempt alone has blocked the subject."""


@dataclass(slots=True)
class Attempt:
    """An attempt that has been counted; nothing is counted where the throttle is off."""

    counts: list[Count] = field(default_factory=list)
    has_failed: bool = False

    def failed(self) -> None:
        """Keep the counts, whatever happens next."""
        self.has_failed = True

    def succeeded(self) -> None:
        """Refund the attempt as its policies say, within the caller's transaction."""
        for count in self.counts:
            _settle(write_connection(), count)


@contextmanager
def attempt(*groups: Group, subjects: Subjects) -> Iterator[Attempt]:
    """Count an attempt for as long as the block lasts. Raises TooManyAttempts.

    It is counted under the first group that admits it; the last one's error is raised. Where the
    block ends by an outage the attempt is refunded, unless it had failed before. As well as that
    can be done: a database that is away keeps the counts.
    """
    made = Attempt()
    try:
        if current_app.config["THROTTLE_ENABLED"]:
            _admit(made, groups, subjects)
        yield made
    except (Overloaded, SQLAlchemyError):
        db.session.rollback()
        if not made.has_failed:
            with suppress(SQLAlchemyError):
                _refund(made.counts)
        raise


def count(*groups: Group, subjects: Subjects) -> None:
    """Count an attempt that is never refunded once it is admitted. Raises TooManyAttempts."""
    with attempt(*groups, subjects=subjects) as made:
        made.failed()


def count_write(user_id: int, actor: Actor) -> None:
    """Count a request of this user that writes. Raises TooManyAttempts."""
    count(policies.WRITING, subjects=Subjects(actor, user_id=user_id))


def remember(user_id: int, network: str, last_login_at: datetime | None = None) -> None:
    """Record, within the caller's transaction, that this network has logged in to the account.

    To the day: a network that has done so today, by what is recorded, costs no statement.
    """
    now = utcnow()
    if last_login_at is None or now - last_login_at > timedelta(days=1):
        statement = statements.remembering(db.engine.dialect.name)
        write_connection().execute(
            statement, {"user_id": user_id, "network": network, "last_login_at": now}
        )


def counts(name: str | None = None) -> Sequence[Row[str, str, int, datetime]]:
    """Return what is counted now, of all or of an address or a network.

    Each row has scope, subject, count, and until when the subject is blocked.
    """
    columns = select(Throttle.scope, Throttle.subject, Throttle.count, Throttle.blocked_until)
    current = columns.where(Throttle.expires_at > utcnow(), *_naming(name))
    return db.session.execute(current.order_by(Throttle.scope, Throttle.subject)).all()


def clear(name: str | None = None, actor: Actor = COMMAND) -> int:
    """Delete the counts of an address or a network, or all; return how many there were.

    One scope a transaction: a login holds one row of each, in an order that a deletion has not.
    """
    where, cleared = _naming(name), 0
    for scope in policies.SCOPES:
        clearing = delete(Throttle).where(Throttle.scope == scope, *where)
        cleared += len(db.session.scalars(clearing.returning(Throttle.count)).all())
        db.session.commit()
    if cleared:
        audit.record(Event.THROTTLE_CLEARED, actor, count=cleared)
    db.session.commit()
    return cleared


def _naming(name: str | None) -> list[ColumnElement[bool]]:
    """Return the condition that a row is about this e-mail address, network or address of one."""
    if name is None:
        return []
    subject = Throttle.subject
    return [
        or_(
            *(subject == part for part in _parts(name)),
            *(subject.startswith(f"{part} ", autoescape=True) for part in _parts(name)),
            *(subject.endswith(f" {part}", autoescape=True) for part in _parts(name)),
        )
    ]


def _parts(name: str) -> list[str]:
    """Return what the subjects of a name are, or begin or end with."""
    network = addresses.network(name)
    if network != addresses.UNKNOWN:
        wider = (addresses.wider_network(name, length) for length in (56, 48))
        return [name, network, *filter(None, wider)]
    user_id = directory.id_of(name)
    known = [] if user_id is None else [str(user_id)]
    return [name, policies.digest(identifiers.email_key(name)), *known]


def _admit(made: Attempt, groups: tuple[Group, ...], subjects: Subjects) -> None:
    now = utcnow()
    for group in groups:
        named = {policy: subject for policy in group if (subject := policy.subject_of(subjects))}
        made.counts += _count(named, now)
        if len(made.counts) == len(named):
            return
        # Another attempt has blocked one of the subjects in the same moment.
        _refund(made.counts)
        made.counts.clear()
    _reject(named, subjects, now)


def _count(named: dict[Policy, str], now: datetime) -> list[Count]:
    """Count an attempt under each policy: one statement, and no transaction around it."""
    if not named:
        return []
    rules = tuple(policy.rule for policy in named)
    parameters = {f"subject_{position}": each for position, each in enumerate(named.values())}
    rows = autocommit.all(
        statements.counting(autocommit.engine.dialect.name, rules), **parameters, now=now
    )
    found = {scope: (number, blocked_until) for scope, blocked_until, number in rows}
    return [
        Count(policy, subject, *found[policy.name])
        for policy, subject in named.items()
        if policy.name in found
    ]


def _reject(named: dict[Policy, str], subjects: Subjects, now: datetime) -> NoReturn:
    """Raise TooManyAttempts for the longest wait; of each wait the first is recorded."""
    standing = select(Throttle.scope, Throttle.blocked_until, Throttle.audited_until)
    subject_of = {policy.name: subject for policy, subject in named.items()}
    rows = db.session.execute(standing.where(_are(subject_of), Throttle.blocked_until > now)).all()
    row = max(rows, key=attrgetter("blocked_until"), default=None)
    policy = next((each for each in named if row and each.name == row.scope), next(iter(named)))
    if row is not None and row.audited_until != row.blocked_until:
        _record_rejection(policy, named[policy], subjects)
    wait = row.blocked_until - now if row is not None else timedelta(0)
    raise TooManyAttempts(
        policy=policy.name,
        quota=policy.limit.quota,
        window=statements.seconds(policy.limit.window),
        wait=max(1, ceil(wait.total_seconds())),
    )


def _record_rejection(policy: Policy, subject: str, subjects: Subjects) -> None:
    """Record that a limit rejects attempts, unless another process was faster."""
    is_new = Throttle.audited_until.is_distinct_from(Throttle.blocked_until)
    unrecorded = update(Throttle).where(_are({policy.name: subject}), is_new)
    recorded = unrecorded.values(audited_until=Throttle.blocked_until)
    if db.session.scalar(recorded.returning(Throttle.count)) is not None:
        found = select(User.id).where(User.email_key == subjects.email_key)
        user_id = subjects.user_id or db.session.scalar(found)
        audit.record(Event.ATTEMPT_THROTTLED, subjects.actor, user_id=user_id, scope=policy.name)
    db.session.commit()


def _settle(connection: Connection, count: Count) -> None:
    match count.policy.success:
        case Success.REFUNDED:
            _refund_one(connection, count)
        case Success.CLEARS:
            connection.execute(statements.CLEARING, _named(count))
        case Success.CLEARS_SELDOM if count.number > 1 and _may_clear(connection, count):
            connection.execute(statements.CLEARING, _named(count))
        case Success.CLEARS_SELDOM:
            _refund_one(connection, count)


def _may_clear(connection: Connection, count: Count) -> bool:
    """Return whether a success may clear the failures of others too, which it may seldom.

    Else an owner who logs in often would clear the way for a neighbour who guesses.
    """
    statement = statements.counting(connection.dialect.name, (policies.CLEARING,))
    named = {"subject_0": count.subject, "now": utcnow()}
    return connection.execute(statement, named).first() is not None


def _refund(counts: list[Count]) -> None:
    """Refund an attempt that is not made."""
    if counts:
        for count in counts:
            _refund_one(write_connection(), count)
        db.session.commit()


def _refund_one(connection: Connection, count: Count) -> None:
    """Refund one count, and the block that it brought about; a row that counts nothing goes."""
    refunding_the_last = statements.REFUNDING_THE_LAST
    if count.number == 1 and connection.execute(refunding_the_last, _named(count)).rowcount:
        return
    brought_about = {"quota": count.policy.limit.quota, "block": count.blocked_until}
    left = connection.execute(statements.REFUNDING, _named(count) | brought_about).first()
    if left is not None and left[0] == 0:
        connection.execute(refunding_the_last, _named(count))


def _named(count: Count) -> dict[str, object]:
    return {"of_scope": count.policy.name, "of_subject": count.subject}


def _are(subject_of: Mapping[str, str]) -> ColumnElement[bool]:
    return tuple_(Throttle.scope, Throttle.subject).in_(list(subject_of.items()))
