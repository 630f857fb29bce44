"""Measures a load: what it costs server and database, and what else the machine did meanwhile.

Contestants are measured by turns inside of each round, so that what changes on the machine changes
for all of them. A measurement beside which others were busy is made again.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import psutil

from bench import processes
from bench.load import Failed, Load
from bench.results import Figures, Row

MAX_FOREIGN = 0.15
"""Share of the machine that others may take during a measurement before it is made again."""


@dataclass(frozen=True)
class Measurement:
    """What a load was, and what it cost: microseconds of processor time a request.

    `server_us` is of the server's whole process tree, `database_us` of PostgreSQL's; `server_cores`
    is how many cores the server kept busy, and `foreign` the share of the machine that neither
    server nor database nor load used.
    """

    requests: int
    requests_a_second: float
    p50_ms: float
    p99_ms: float
    server_us: float
    database_us: float
    server_cores: float
    foreign: float

    def figures(self) -> Figures:
        """Return it as it is kept."""
        return asdict(self)


@dataclass(frozen=True)
class Usage:
    """What has been used up to one moment, in seconds; `ours` is all that the benchmark runs."""

    clock: float
    server: float
    database: float
    ours: float
    machine: float


@dataclass(frozen=True)
class Plan:
    """How often and how long everything is measured."""

    rounds: int = 3
    seconds: float = 4.0
    tries: int = 3
    """How often a measurement is made at the most, where others are busy."""
    accounts: int = 150
    """Accounts for what uses them up."""
    logins: int = 24
    """Logins of a round at the full cost of bcrypt."""
    storm_seconds: float = 6.0
    crowds: tuple[int, ...] = (1_000, 100_000, 1_000_000)


def usage(server: psutil.Process, database: psutil.Process) -> Usage:
    """Return what has been used up to now."""
    used = processes.cpu_seconds(database)
    return Usage(
        clock=time.perf_counter(),
        server=processes.cpu_seconds(server),
        database=used,
        # The database alone is no descendant of this process.
        ours=processes.cpu_seconds(psutil.Process()) + used,
        machine=processes.machine_seconds(),
    )


def foreign_share(before: Usage, after: Usage) -> float:
    """Return which share of the machine others have used between two moments."""
    used = (after.machine - before.machine) - (after.ours - before.ours)
    return max(0.0, used / (after.clock - before.clock) / (psutil.cpu_count() or 1))


def measure(
    server: psutil.Process, database: psutil.Process, work: Callable[[], Load]
) -> Measurement:
    """Have the work done, and return what it was and cost."""
    before = usage(server, database)
    load = work()
    return compared(load, before, usage(server, database))


def compared(load: Load, before: Usage, after: Usage) -> Measurement:
    """Return what a load cost between two moments."""
    server = after.server - before.server
    database = after.database - before.database
    return Measurement(
        requests=load.requests,
        requests_a_second=load.requests / load.seconds,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        server_us=server / load.requests * 1e6,
        database_us=database / load.requests * 1e6,
        server_cores=server / (after.clock - before.clock),
        foreign=foreign_share(before, after),
    )


def quietest(work: Callable[[], Figures], tries: int) -> Figures:
    """Measure until nobody else is busy, so often at the most; return the quietest measurement."""
    found = work()
    while found["foreign"] > MAX_FOREIGN and tries > 1:
        tries -= 1
        found = min(found, work(), key=lambda one: one["foreign"])
    return found


def by_turns(
    works: Mapping[str, Callable[[], Figures]], plan: Plan
) -> tuple[dict[str, Row], dict[str, str]]:
    """Measure each of these in every round; return the rows, and why others have none.

    Whoever fails once is measured no more.
    """
    kept: dict[str, list[Figures]] = {name: [] for name in works}
    failures: dict[str, str] = {}
    for _ in range(plan.rounds):
        for name, work in works.items():
            if name in failures:
                continue
            try:
                kept[name].append(rounded(quietest(work, plan.tries)))
            except Failed as error:
                failures[name] = str(error)
    rows = {name: row(rounds) for name, rounds in kept.items() if name not in failures}
    return rows, failures


def row(rounds: list[Figures]) -> Row:
    """Return the rounds with the median of each figure."""
    figures = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return Row(rounded(figures), rounds)


def rounded(figures: Mapping[str, float]) -> Figures:
    """Return the figures with as many digits as are worth keeping."""
    return {name: float(f"{value:.5g}") for name, value in figures.items()}
