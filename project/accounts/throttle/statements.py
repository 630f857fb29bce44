"""The statements by which the throttle counts, alike on both databases.

Each is built once, since it takes longer to build than to run.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    literal,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.selectable import TypedReturnsRows

from project.database.base import UTCDateTime, add_seconds, table_of
from project.database.writes import insert_or_update, insert_selected_or_update
from project.models import KnownNetwork, Throttle
from project.security.rate_limit import Limit

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""`blocked_until` of a subject that is not blocked. Not "now": each process has its own."""

TABLE = table_of(Throttle)
KEPT = TABLE.c

STANDING = TABLE.alias("standing")

NOW = bindparam("now", type_=UTCDateTime())
IS_OVER = KEPT.expires_at <= NOW
EXPIRES_AT = KEPT.expires_at
NUMBER = case((IS_OVER, literal_column("1", Integer)), else_=KEPT.count + literal_column("1"))
"""The number of the next attempt."""

THIS = and_(KEPT.scope == bindparam("of_scope"), KEPT.subject == bindparam("of_subject"))
CLEARING = delete(TABLE).where(THIS)
REFUNDING_THE_LAST = CLEARING.where(KEPT.count <= 1)
"""Refunds the only attempt that is counted: no row stays behind."""
REFUNDING = (
    update(TABLE)
    .where(THIS, KEPT.count > 0)
    .values(
        count=KEPT.count - 1,
        blocked_until=case(
            (
                or_(
                    KEPT.blocked_until == bindparam("block", type_=UTCDateTime()),
                    KEPT.count <= bindparam("quota"),
                ),
                literal(LONG_AGO, UTCDateTime()),
            ),
            else_=KEPT.blocked_until,
        ),
    )
    .returning(KEPT.count)
)
"""Refunds an attempt, and the `block` with it that it brought about."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits beyond a limit: each is twice the one before, up to the longest."""

    first: timedelta
    longest: timedelta

    def wait(self, count: ColumnElement[int], quota: int) -> ColumnElement[int]:
        """Return the seconds from the attempt of this number to the next."""
        doubled = _fixed(seconds(self.first)) * _fixed(1).bitwise_lshift(count - _fixed(quota))
        steps = _doublings(self.first, self.longest)
        return case((count >= _fixed(quota + steps), _fixed(seconds(self.longest))), else_=doubled)


@dataclass(frozen=True, slots=True)
class Rule:
    """How one scope counts; without a backoff a subject is blocked until the time is over."""

    scope: str
    limit: Limit
    backoff: Backoff | None

    def first_row(self, position: int) -> Select[*tuple[Any, ...]]:
        """Return the row of the first attempt of the subject at this position of the parameters."""
        window = _fixed(seconds(self.limit.window))
        blocked_until: Any = literal(LONG_AGO, UTCDateTime())
        expires_at: Any = add_seconds(NOW, window)
        if self.limit.quota == 1:
            blocked_until, expires_at = self.blocked(_fixed(1), expires_at)
        return select(
            literal(self.scope).label("scope"),
            _subject(position).label("subject"),
            _fixed(1).label("count"),
            blocked_until.label("blocked_until"),
            expires_at.label("expires_at"),
        )

    def is_blocked(self, position: int) -> ColumnElement[bool]:
        """Return the condition that the subject at this position is blocked, of an aliased row."""
        row = STANDING.c
        is_this = and_(row.scope == self.scope, row.subject == _subject(position))
        return and_(is_this, row.blocked_until > NOW)

    def blocked(self, count: ColumnElement[int], ends_at: Any) -> tuple[Any, Any]:
        """Return until when an attempt of this number, at the limit or beyond, blocks and counts.

        `ends_at` is when the time is over in which attempts are counted.
        """
        if self.backoff is None:
            return ends_at, ends_at
        wait = self.backoff.wait(count, self.limit.quota)
        return add_seconds(NOW, wait), add_seconds(NOW, wait + _fixed(seconds(self.limit.window)))

    def changes(self) -> tuple[Any, Any]:
        """Return until when the next attempt blocks its subject, and until when it is counted."""
        ends_at = case(
            (IS_OVER, add_seconds(NOW, _fixed(seconds(self.limit.window)))), else_=EXPIRES_AT
        )
        blocked_until, expires_at = self.blocked(NUMBER, ends_at)
        is_quiet = _fixed(self.limit.quota) > NUMBER
        return (
            case((is_quiet, literal(LONG_AGO, UTCDateTime())), else_=blocked_until),
            case((is_quiet, ends_at), else_=expires_at),
        )


@cache
def counting(dialect: str, rules: tuple[Rule, ...]) -> TypedReturnsRows[str, datetime, int]:
    """Return the statement that counts an attempt under all of these rules, or none, at `now`.

    It returns a row for each subject: the scope, until when the attempt blocks the subject, and the
    attempt's number. It returns fewer where one was blocked before: none, but for those that were
    counted while another transaction blocked the others. Its parameters are `subject_0`,
    `subject_1`, …
    """
    changes = {rule.scope: rule.changes() for rule in rules}
    statement = insert_selected_or_update(
        dialect,
        Throttle,
        _rows(rules),
        {
            "count": NUMBER,
            "blocked_until": _by_scope({scope: each[0] for scope, each in changes.items()}),
            "expires_at": _by_scope({scope: each[1] for scope, each in changes.items()}),
        },
        where=KEPT.blocked_until <= NOW,
    )
    counted: TypedReturnsRows[str, datetime, int] = statement.returning(
        KEPT.scope, KEPT.blocked_until, KEPT.count
    )
    return counted


def _rows(rules: tuple[Rule, ...]) -> Any:
    """Return the first row of each rule; none where one of the subjects is blocked."""
    blocked = [rule.is_blocked(position) for position, rule in enumerate(rules)]
    is_open = ~select(STANDING).where(or_(*blocked)).exists()
    rows = [rule.first_row(position).where(is_open) for position, rule in enumerate(rules)]
    return rows[0] if len(rows) == 1 else union_all(*rows)


def _subject(position: int) -> BindParameter[str]:
    return bindparam(f"subject_{position}", type_=String())


def _by_scope(values: dict[str, Any]) -> Any:
    """Return the value of the row's scope."""
    *others, (_, last) = values.items()
    if not others:
        return last
    return case(*((KEPT.scope == scope, value) for scope, value in others), else_=last)


def _fixed(number: int) -> ColumnElement[int]:
    """Return a number that is part of the text: nothing has to be bound for it."""
    return literal_column(str(number), Integer)


def _doublings(first: timedelta, longest: timedelta) -> int:
    """Return after how many doublings the first wait is as long as the longest."""
    return (ceil(longest / first) - 1).bit_length()


def seconds(length: timedelta) -> int:
    """Return a duration in whole seconds, as all of the settings are."""
    return int(length.total_seconds())


@cache
def remembering(dialect: str) -> Any:
    """Return the statement that keeps from which network somebody has logged in to an account."""
    now: ColumnElement[datetime] = literal_column("excluded.last_login_at")
    return insert_or_update(dialect, KnownNetwork, {}, {"last_login_at": now})
