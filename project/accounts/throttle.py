"""Counting attempts, so that nobody guesses for long and nobody is locked out by somebody else.

Each limit lets a number of attempts in, and after that one at a time, with a wait between that
doubles; never is a door shut for good. Of logins three limits count: those of one network to one
account, those of one network, and those to one account. Anybody could use up the last one, so it
lets networks through that have logged in to the account before.

An attempt is counted before the password is looked at, by one statement that counts and decides at
once; so of many attempts at one time as many get in as may. A login that succeeds is forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import NoReturn

from flask import current_app
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, or_, select, update
from sqlalchemy.exc import SQLAlchemyError

from project.accounts import audit, counting
from project.accounts.audit import Event
from project.accounts.clients import COMMAND, Client
from project.api.models import Throttle, User
from project.clock import utcnow
from project.errors import Overloaded, TooManyAttempts
from project.extensions import db, reads, writing
from project.readers import Limit
from project.security import addresses, hashing, identifiers

LONGEST_SUBJECT = 254
"""Characters of what is kept of a name as it is; of a longer one the digest is kept."""


class Scope(StrEnum):
    """What a limit counts."""

    ACCOUNT_NETWORK = "account-network"
    NETWORK = "network"
    ACCOUNT = "account"
    REGISTRATION = "registration"


SETTINGS: Mapping[Scope, str] = {
    Scope.ACCOUNT_NETWORK: "THROTTLE_ACCOUNT_NETWORK",
    Scope.NETWORK: "THROTTLE_NETWORK",
    Scope.ACCOUNT: "THROTTLE_ACCOUNT",
    Scope.REGISTRATION: "THROTTLE_REGISTRATION",
}


@dataclass(frozen=True, slots=True)
class Count:
    """One count of an attempt, and until when that alone has blocked its subject."""

    scope: Scope
    subject: str
    blocked_until: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """What has been counted; nothing where the throttle is off."""

    counts: tuple[Count, ...] = ()


def admit_login(email_key: str, client: Client, *, known: bool) -> Attempt:
    """Count a login before it is tried. Raises TooManyAttempts.

    It makes no difference whether the account exists, save to a network that is known to it.
    """
    if not _is_enabled():
        return Attempt()
    account = email_key if len(email_key) <= LONGEST_SUBJECT else hashing.digest(email_key)
    network = client.network
    asked = [
        (Scope.ACCOUNT_NETWORK, f"{account} {network}"),
        (Scope.NETWORK, network),
        # Nobody is locked out of an account by what others do.
        *([] if known else [(Scope.ACCOUNT, account)]),
    ]
    return _admit(asked, client, email_key)


def admit_registration(client: Client) -> Attempt:
    """Count a registration before it is tried. Raises TooManyAttempts."""
    if not _is_enabled():
        return Attempt()
    return _admit([(Scope.REGISTRATION, client.network)], client)


def forgive(attempt: Attempt) -> None:
    """Forget a login that succeeded, within the caller's transaction.

    The failures of its network at this account are forgotten with it, those of other networks are
    not, nor what it tried at other accounts.
    """
    connection = writing()
    for count in attempt.counts:
        if count.scope is Scope.ACCOUNT_NETWORK:
            connection.execute(counting.FORGETTING, _named(count))
        else:
            _give_back(connection, count)


@contextmanager
def uncounted_where_unavailable(counts: Sequence[Count]) -> Iterator[None]:
    """Give back what was counted of an attempt that came to nothing by no fault of the client.

    As well as that can be done: a database that is away keeps the counts.
    """
    try:
        yield
    except (Overloaded, SQLAlchemyError):
        db.session.rollback()
        with suppress(SQLAlchemyError):
            _take_back(counts)
        raise


def remember(user_id: int, network: str, last_login_at: datetime | None = None) -> None:
    """Keep, within the caller's transaction, that this network has logged in to the account.

    To the day: a network that has done so today, by what is kept, costs no statement.
    """
    now = utcnow()
    if last_login_at is None or now - last_login_at > timedelta(days=1):
        statement = counting.remembering(db.engine.dialect.name)
        writing().execute(statement, {"user_id": user_id, "network": network, "last_login_at": now})


def counts() -> Sequence[Row[str, str, int, datetime]]:
    """Return what is counted now: scope, subject, count, and until when it is blocked."""
    columns = select(Throttle.scope, Throttle.subject, Throttle.count, Throttle.blocked_until)
    current = columns.where(Throttle.expires_at > utcnow(), Throttle.count > 0)
    return db.session.execute(current.order_by(Throttle.scope, Throttle.subject)).all()


def clear(name: str | None = None, client: Client = COMMAND) -> int:
    """Forget what is counted for an address or a network, or all; return how many counts.

    One limit a transaction: a login holds one row of each, in an order that a deletion has not.
    """
    where = [] if name is None else [or_(*_naming(name), *_naming(_subject(name)))]
    cleared = 0
    for scope in Scope:
        forgetting = delete(Throttle).where(Throttle.scope == scope.value, *where)
        cleared += len(db.session.scalars(forgetting.returning(Throttle.count)).all())
        db.session.commit()
    if cleared:
        audit.record(Event.THROTTLE_CLEARED, client, count=cleared)
    db.session.commit()
    return cleared


def _subject(name: str) -> str:
    """Return what is counted for an e-mail address, or for the address of a network."""
    network = addresses.network(name)
    return identifiers.email_key(name) if network == addresses.UNKNOWN else network


def _naming(name: str) -> list[ColumnElement[bool]]:
    return [
        Throttle.subject == name,
        Throttle.subject.startswith(f"{name} ", autoescape=True),
        Throttle.subject.endswith(f" {name}", autoescape=True),
    ]


def _admit(
    asked: Sequence[tuple[Scope, str]], client: Client, email_key: str | None = None
) -> Attempt:
    now = utcnow()
    counts: list[Count] = []
    for scope, subject in asked:
        with uncounted_where_unavailable(counts):
            blocked_until = _count(scope, subject, now)
        if blocked_until is None:
            _take_back(counts)
            _refuse(scope, subject, client, email_key, now)
        counts.append(Count(scope, subject, blocked_until))
    return Attempt(tuple(counts))


def _count(scope: Scope, subject: str, now: datetime) -> datetime | None:
    """Count an attempt, unless the subject is blocked: one statement, and no transaction around it.

    Returns until when that blocks the subject, or None where it was blocked before.
    """
    limit = _limit(scope)
    statement = counting.counting(
        reads.engine.dialect.name,
        limit.quota,
        limit.window,
        current_app.config["THROTTLE_FIRST_WAIT"],
        current_app.config["THROTTLE_LONGEST_WAIT"],
    )
    counted = reads.alone(statement, of_scope=scope.value, of_subject=subject, now=now)
    return counted and counted.blocked_until


def _refuse(
    scope: Scope, subject: str, client: Client, email_key: str | None, now: datetime
) -> NoReturn:
    """Raise TooManyAttempts; of each wait the first refusal alone is recorded, and no flood."""
    standing = select(Throttle.blocked_until, Throttle.told_until).where(_is(scope, subject))
    row = db.session.execute(standing).first()
    if row is not None and row.told_until != row.blocked_until:
        _record_refusal(scope, subject, client, email_key)
    limit = _limit(scope)
    wait = row.blocked_until - now if row is not None else timedelta(0)
    raise TooManyAttempts(
        policy=scope.value,
        quota=limit.quota,
        window=counting.seconds(limit.window),
        wait=max(1, ceil(wait.total_seconds())),
    )


def _record_refusal(scope: Scope, subject: str, client: Client, email_key: str | None) -> None:
    """Record that a limit refuses, unless another process was faster."""
    is_untold = Throttle.told_until.is_distinct_from(Throttle.blocked_until)
    untold = update(Throttle).where(_is(scope, subject), is_untold)
    telling = untold.values(told_until=Throttle.blocked_until)
    if db.session.scalar(telling.returning(Throttle.count)) is not None:
        user_id = db.session.scalar(select(User.id).where(User.email_key == email_key))
        audit.record(Event.ATTEMPT_THROTTLED, client, user_id=user_id, scope=scope.value)
    db.session.commit()


def _take_back(counts: Sequence[Count]) -> None:
    """Take what was counted of an attempt back that is not made."""
    for count in counts:
        _give_back(writing(), count)
    db.session.commit()


def _give_back(connection: Connection, count: Count) -> None:
    """Take one attempt back, and the block with it that it brought about."""
    brought_about = {"quota": _limit(count.scope).quota, "block": count.blocked_until}
    connection.execute(counting.GIVING_BACK, _named(count) | brought_about)


def _named(count: Count) -> dict[str, object]:
    return {"of_scope": count.scope.value, "of_subject": count.subject}


def _is(scope: Scope, subject: str) -> ColumnElement[bool]:
    return and_(Throttle.scope == scope.value, Throttle.subject == subject)


def _is_enabled() -> bool:
    enabled: bool = current_app.config["THROTTLE_ENABLED"]
    return enabled


def _limit(scope: Scope) -> Limit:
    limit: Limit = current_app.config[SETTINGS[scope]]
    return limit
