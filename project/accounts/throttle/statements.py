"""The throttle's SQL statements, for PostgreSQL and SQLite.

Each statement is built once, since building takes longer than executing.
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
from project.database.compiled import CompiledQuery
from project.database.writes import upsert, upsert_selected
from project.models import KnownNetwork, Throttle
from project.security.rate_limit import Limit

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""`blocked_until` of a subject that is not blocked: always past, whatever a process's clock."""

TABLE = table_of(Throttle)
COLUMNS = TABLE.c

EXISTING = TABLE.alias("existing")

NOW = bindparam("now", type_=UTCDateTime())
IS_OVER = COLUMNS.expires_at <= NOW
EXPIRES_AT = COLUMNS.expires_at
NUMBER = case((IS_OVER, literal_column("1", Integer)), else_=COLUMNS.count + literal_column("1"))
"""The counter after the next attempt."""

IS_SUBJECT = and_(
    COLUMNS.scope == bindparam("of_scope"), COLUMNS.subject == bindparam("of_subject")
)
DELETE = delete(TABLE).where(IS_SUBJECT)
DELETE_LAST = DELETE.where(COLUMNS.count <= 1)
"""Refunds the only counted attempt by deleting its row."""
REFUND = (
    update(TABLE)
    .where(IS_SUBJECT, COLUMNS.count > 0)
    .values(
        count=COLUMNS.count - 1,
        blocked_until=case(
            (
                or_(
                    COLUMNS.blocked_until == bindparam("block", type_=UTCDateTime()),
                    COLUMNS.count <= bindparam("quota"),
                ),
                literal(LONG_AGO, UTCDateTime()),
            ),
            else_=COLUMNS.blocked_until,
        ),
    )
    .returning(COLUMNS.count)
)
"""Refunds an attempt, and lifts the `block` that it caused."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits beyond a limit: each is twice the previous one, up to a maximum."""

    initial: timedelta
    maximum: timedelta

    def wait(self, count: ColumnElement[int], quota: int) -> ColumnElement[int]:
        """Return the seconds to wait after the attempt with this number."""
        factor = _integer(1).bitwise_lshift(count - _integer(quota))
        doubled = _integer(to_seconds(self.initial)) * factor
        steps = _count_doublings(self.initial, self.maximum)
        return case(
            (count >= _integer(quota + steps), _integer(to_seconds(self.maximum))), else_=doubled
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """The limit of one scope; without a backoff, a subject is blocked until the window ends."""

    scope: str
    limit: Limit
    backoff: Backoff | None
    is_counted: bool = True

    def select_new_row(self, position: int) -> Select[*tuple[Any, ...]]:
        """Return a SELECT of the row for a first attempt of the subject `subject_<position>`."""
        window = _integer(to_seconds(self.limit.window))
        blocked_until: Any = literal(LONG_AGO, UTCDateTime())
        expires_at: Any = add_seconds(NOW, window)
        if self.limit.quota == 1:
            blocked_until, expires_at = self.block(_integer(1), expires_at)
        return select(
            literal(self.scope).label("scope"),
            _subject(position).label("subject"),
            _integer(1).label("count"),
            blocked_until.label("blocked_until"),
            expires_at.label("expires_at"),
        )

    def is_blocked(self, position: int) -> ColumnElement[bool]:
        """Return the condition that an `EXISTING` row blocks the subject `subject_<position>`."""
        row = EXISTING.c
        is_subject = and_(row.scope == self.scope, row.subject == _subject(position))
        return and_(is_subject, row.blocked_until > NOW)

    def block(self, count: ColumnElement[int], ends_at: Any) -> tuple[Any, Any]:
        """Return `blocked_until` and `expires_at` after an attempt at the limit or beyond.

        `count` is the attempt's number, `ends_at` the end of the window.
        """
        if self.backoff is None:
            return ends_at, ends_at
        wait = self.backoff.wait(count, self.limit.quota)
        window = _integer(to_seconds(self.limit.window))
        return add_seconds(NOW, wait), add_seconds(NOW, wait + window)

    def updated_times(self) -> tuple[Any, Any]:
        """Return `blocked_until` and `expires_at` of an existing row after the next attempt."""
        ends_at = case(
            (IS_OVER, add_seconds(NOW, _integer(to_seconds(self.limit.window)))), else_=EXPIRES_AT
        )
        blocked_until, expires_at = self.block(NUMBER, ends_at)
        is_below_limit = _integer(self.limit.quota) > NUMBER
        return (
            case((is_below_limit, literal(LONG_AGO, UTCDateTime())), else_=blocked_until),
            case((is_below_limit, ends_at), else_=expires_at),
        )


@cache
def build_increment(dialect: str, rules: tuple[Rule, ...]) -> CompiledQuery[str, datetime, int]:
    """Return the statement that counts an attempt under all of these rules, or under none.

    A rule that is not `is_counted` only rejects the attempt while its subject is blocked. The
    parameters are `now`, `subject_0`, `subject_1`, … It returns a row for each counted subject:
    scope, `blocked_until` and the attempt's number. If a subject is blocked it returns no row,
    except where a concurrent transaction blocked that subject after the others were counted.
    """
    times = {rule.scope: rule.updated_times() for rule in rules if rule.is_counted}
    statement = upsert_selected(
        dialect,
        Throttle,
        _select_new_rows(rules),
        {
            "count": NUMBER,
            "blocked_until": _case_by_scope({scope: each[0] for scope, each in times.items()}),
            "expires_at": _case_by_scope({scope: each[1] for scope, each in times.items()}),
        },
        where=COLUMNS.blocked_until <= NOW,
    )
    counted: TypedReturnsRows[str, datetime, int] = statement.returning(
        COLUMNS.scope, COLUMNS.blocked_until, COLUMNS.count
    )
    return CompiledQuery(counted)


def _select_new_rows(rules: tuple[Rule, ...]) -> Any:
    """Return a SELECT of each rule's new row, or of no row if one of the subjects is blocked."""
    blocked = [rule.is_blocked(position) for position, rule in enumerate(rules)]
    is_admitted = ~select(EXISTING).where(or_(*blocked)).exists()
    counted = [(i, rule) for i, rule in enumerate(rules) if rule.is_counted]
    rows = [rule.select_new_row(i).where(is_admitted) for i, rule in counted]
    return rows[0] if len(rows) == 1 else union_all(*rows)


def _subject(position: int) -> BindParameter[str]:
    return bindparam(f"subject_{position}", type_=String())


def _case_by_scope(values: dict[str, Any]) -> Any:
    """Return a CASE that selects the value by the row's scope."""
    *others, (_, last) = values.items()
    if not others:
        return last
    return case(*((COLUMNS.scope == scope, value) for scope, value in others), else_=last)


def _integer(number: int) -> ColumnElement[int]:
    """Return an integer literal, which needs no bind parameter."""
    return literal_column(str(number), Integer)


def _count_doublings(initial: timedelta, maximum: timedelta) -> int:
    """Return the number of doublings after which the initial wait reaches the maximum."""
    return (ceil(maximum / initial) - 1).bit_length()


def to_seconds(length: timedelta) -> int:
    """Return a duration in whole seconds, the resolution of the settings."""
    return int(length.total_seconds())


@cache
def build_network_upsert(dialect: str) -> Any:
    """Return the statement that records a login to an account from a network."""
    now: ColumnElement[datetime] = literal_column("excluded.last_login_at")
    return upsert(dialect, KnownNetwork, {}, {"last_login_at": now})
