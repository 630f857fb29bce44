"""The statements by which the throttle counts, alike on both databases.

Each is built once, since it takes longer to build than to run.
"""

from datetime import UTC, datetime, timedelta
from functools import cache
from math import ceil
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    and_,
    bindparam,
    case,
    delete,
    literal,
    literal_column,
    or_,
    update,
)

from project.api.models import KnownNetwork, Throttle
from project.database.base import Moment, later, table_of
from project.database.prepared import Prepared
from project.database.writes import insert_or_update

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""Until when whoever is not blocked is blocked. Not "now", of which each process has its own."""

TABLE = table_of(Throttle)
KEPT = TABLE.c

THIS = and_(KEPT.scope == bindparam("of_scope"), KEPT.subject == bindparam("of_subject"))
FORGETTING = delete(TABLE).where(THIS)
GIVING_BACK = (
    update(TABLE)
    .where(THIS, KEPT.count > 0)
    .values(
        count=KEPT.count - 1,
        blocked_until=case(
            (
                or_(
                    KEPT.blocked_until == bindparam("block", type_=Moment()),
                    KEPT.count <= bindparam("quota"),
                ),
                literal(LONG_AGO, Moment()),
            ),
            else_=KEPT.blocked_until,
        ),
    )
)
"""Takes an attempt back, and the `block` with it that it brought about."""


@cache
def counting(
    dialect: str, quota: int, window: timedelta, first: timedelta, longest: timedelta
) -> Prepared[datetime]:
    """Return the statement that counts an attempt, of a scope and a subject, at `now`.

    It returns until when the subject is blocked by it, and nothing where it was blocked before.
    """
    now = bindparam("now", type_=Moment())
    steps = _doublings(first, longest)

    def wait(count: ColumnElement[int]) -> ColumnElement[int]:
        """Return the seconds from the attempt of this number to the next: each wait is doubled."""
        doubled = _fixed(seconds(first)) * _fixed(1).bitwise_lshift(count - _fixed(quota))
        return case((count >= _fixed(quota + steps), _fixed(seconds(longest))), else_=doubled)

    is_over = KEPT.expires_at <= now
    count = case((is_over, _fixed(1)), else_=KEPT.count + _fixed(1))
    is_quiet = count < _fixed(quota)
    a_window = _fixed(seconds(window))
    quiet_until = case((is_over, later(now, a_window)), else_=KEPT.expires_at)
    first_wait = _fixed(seconds(first) if quota == 1 else 0)
    blocked_at_once = later(now, first_wait) if quota == 1 else LONG_AGO
    statement = insert_or_update(
        dialect,
        Throttle,
        {
            "scope": bindparam("of_scope"),
            "subject": bindparam("of_subject"),
            "count": _fixed(1),
            "blocked_until": blocked_at_once,
            "expires_at": later(now, first_wait + a_window),
        },
        {
            "count": count,
            "blocked_until": case(
                (is_quiet, literal(LONG_AGO, Moment())), else_=later(now, wait(count))
            ),
            "expires_at": case((is_quiet, quiet_until), else_=later(now, wait(count) + a_window)),
        },
        where=KEPT.blocked_until <= now,
    )
    return Prepared(statement.returning(KEPT.blocked_until))


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
