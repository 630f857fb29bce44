"""The performance targets, called bars, as one table."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from bench.bench import FLOOR, OURS
from bench.floors import BCRYPT
from bench.results import Results

TIMES = "\N{MULTIPLICATION SIGN}"
NOTHING = "\N{EN DASH}"
Figure = Callable[[Results], float | None]


class Direction(StrEnum):
    """The side of its limit on which a figure has to be."""

    AT_LEAST = "≥"
    AT_MOST = "≤"


class Outcome(StrEnum):
    """The outcome of a bar."""

    REACHED = "reached"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Bar:
    """A figure and its limit."""

    name: str
    figure: Figure
    direction: Direction
    limit: float
    unit: str = ""

    def outcome(self, results: Results) -> Outcome:
        """Return whether the bar is reached. A figure equal to its limit reaches it."""
        value = self.figure(results)
        if value is None:
            return Outcome.NOT_MEASURED
        is_least = self.direction is Direction.AT_LEAST
        reached = value >= self.limit if is_least else value <= self.limit
        return Outcome.REACHED if reached else Outcome.MISSED


def median(section: str, figure: str, scale: float = 1.0) -> Figure:
    """Return a function that reads a median of this service, multiplied by a scale."""

    def read(results: Results) -> float | None:
        value = results.figure(section, OURS, figure)
        return None if value is None else value * scale

    return read


def over(section: str, figure: str, name: str, floor: str) -> Figure:
    """Return a function that reads the ratio of a contestant's figure to that of another."""
    return lambda results: results.ratio(section, figure, name, floor)


def times_less(other: str, limit: float) -> Bar:
    """Return the bar for the cost of another contestant's status in relation to ours."""
    figure = over("status", "server_us", other, OURS)
    name = f"status: processor time of `{other}` over ours"
    return Bar(name, figure, Direction.AT_LEAST, limit, TIMES)


BARS = (
    Bar(
        f"status: our requests/s over those of `{FLOOR}`, one core",
        over("status", "requests_a_second", OURS, FLOOR),
        Direction.AT_LEAST,
        0.35,
        TIMES,
    ),
    times_less("tutorial", 3),
    times_less("fastapi-users-jwt", 3),
    times_less("flask-jwt-extended", 4),
    times_less("flask-security", 4),
    times_less("django-simplejwt", 4),
    times_less("better-auth", 8),
    Bar(
        "login at cost 12: our logins/s over raw bcrypt's, one core",
        over("login_cost_12", "requests_a_second", OURS, BCRYPT),
        Direction.AT_LEAST,
        0.97,
        TIMES,
    ),
    Bar(
        "login: processor time without the hash",
        median("login_cost_4", "framework_us", 1e-3),
        Direction.AT_MOST,
        1.5,
        "ms",
    ),
    Bar("storm: status, p50", median("storm", "status_p50_ms"), Direction.AT_MOST, 10, "ms"),
    Bar("storm: status, p99", median("storm", "status_p99_ms"), Direction.AT_MOST, 40, "ms"),
    Bar(
        "growth: a status with 1,000,000 users over one with 1,000",
        over("growth", "status_ms", "1000000", "1000"),
        Direction.AT_MOST,
        1.5,
        TIMES,
    ),
    Bar(
        "memory: all processes, per worker (PSS)",
        median("memory", "proportional_mb"),
        Direction.AT_MOST,
        80,
        "MB",
    ),
    Bar("start: time to the first response", median("start", "seconds"), Direction.AT_MOST, 1, "s"),
)


def report(results: Results) -> list[str]:
    """Return a line for each bar."""
    return [
        f"{bar.outcome(results)}: {bar.name}: {format_figure(bar, results)} "
        f"(bar: {bar.direction} {bar.limit:g} {bar.unit})"
        for bar in BARS
    ]


def format_figure(bar: Bar, results: Results) -> str:
    """Return the figure of a bar as text; a dash if it was not measured."""
    value = bar.figure(results)
    return NOTHING if value is None else f"{value:.3g} {bar.unit}"
