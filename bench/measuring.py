"""Measurement of a load: its cost for server and database, and the foreign load of the machine.

All contestants are measured in turn in every round, so that changes of the machine affect all of
them. A measurement is repeated if other processes were busy.
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
"""Share of the machine that other processes may use. Above it a measurement is repeated."""


@dataclass(frozen=True)
class Measurement:
    """A load and its cost, in microseconds of processor time per request.

    `server_us` covers all processes of the server, `database_us` those of PostgreSQL.
    `server_cores` is the number of cores that the server kept busy. `foreign` is the share of the
    machine that other processes than server, database and load used.
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
        """Return the measurement in the form in which it is stored."""
        return asdict(self)


@dataclass(frozen=True)
class Usage:
    """Processor time up to a point in time, in seconds. `ours` covers the whole benchmark."""

    clock: float
    server: float
    database: float
    ours: float
    machine: float


@dataclass(frozen=True)
class Plan:
    """The number and length of the measurements."""

    rounds: int = 3
    seconds: float = 4.0
    tries: int = 3
    """Maximum number of repetitions while other processes are busy."""
    accounts: int = 150
    """Number of accounts for requests that can succeed only once."""
    logins: int = 24
    """Logins per round at the full cost of bcrypt."""
    storm_seconds: float = 6.0
    crowds: tuple[int, ...] = (1_000, 100_000, 1_000_000)


def usage(server: psutil.Process, database: psutil.Process) -> Usage:
    """Return the processor time used up to now."""
    used = processes.cpu_seconds(database)
    return Usage(
        clock=time.perf_counter(),
        server=processes.cpu_seconds(server),
        database=used,
        # The database is not a descendant of this process; everything else is.
        ours=processes.cpu_seconds(psutil.Process()) + used,
        machine=processes.machine_seconds(),
    )


def foreign_share(before: Usage, after: Usage) -> float:
    """Return the share of the machine that other processes used between two points in time."""
    used = (after.machine - before.machine) - (after.ours - before.ours)
    return max(0.0, used / (after.clock - before.clock) / (psutil.cpu_count() or 1))


def measure(
    server: psutil.Process, database: psutil.Process, work: Callable[[], Load]
) -> Measurement:
    """Run a load and measure its cost."""
    before = usage(server, database)
    load = work()
    return compute_measurement(load, before, usage(server, database))


def compute_measurement(load: Load, before: Usage, after: Usage) -> Measurement:
    """Return the cost of a load between two points in time."""
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


def measure_quietly(work: Callable[[], Figures], tries: int) -> Figures:
    """Repeat a measurement while other processes are busy; return the least disturbed one."""
    found = work()
    while found["foreign"] > MAX_FOREIGN and tries > 1:
        tries -= 1
        found = min(found, work(), key=lambda one: one["foreign"])
    return found


def measure_in_turn(
    works: Mapping[str, Callable[[], Figures]], plan: Plan
) -> tuple[dict[str, Row], dict[str, str]]:
    """Measure each contestant in every round; return the rows, and the reasons for failures.

    A contestant that fails once is not measured again.
    """
    kept: dict[str, list[Figures]] = {name: [] for name in works}
    failures: dict[str, str] = {}
    for _ in range(plan.rounds):
        for name, work in works.items():
            if name in failures:
                continue
            try:
                kept[name].append(round_figures(measure_quietly(work, plan.tries)))
            except Failed as error:
                failures[name] = str(error)
    rows = {name: row(rounds) for name, rounds in kept.items() if name not in failures}
    return rows, failures


def row(rounds: list[Figures]) -> Row:
    """Return a row with the rounds and the median of each figure."""
    figures = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return Row(round_figures(figures), rounds)


def round_figures(figures: Mapping[str, float]) -> Figures:
    """Return the figures with five significant digits."""
    return {name: float(f"{value:.5g}") for name, value in figures.items()}
