"""Baselines, which no service can beat: bcrypt alone, and the query of a status by psycopg2."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import bcrypt
import psutil
import psycopg2
from sqlalchemy import make_url

from bench import cores
from bench.load import Load, percentile_ms
from bench.measuring import compute_measurement, usage
from bench.results import Figures
from project.accounts.sessions import SESSION_WITH_USER

BCRYPT = "raw bcrypt"
QUERY = "raw psycopg2"
PASSWORD = b"correct horse battery staple"

Work = Callable[[], object]


def check_passwords(
    cost: int, checks: int, on: frozenset[int], database: psutil.Process
) -> Figures:
    """Measure checks of a password against a hash of this cost, in a thread on each core."""
    stored = bcrypt.hashpw(PASSWORD, bcrypt.gensalt(cost))
    works = [lambda: bcrypt.checkpw(PASSWORD, stored)] * len(on)
    return _measured(works, lambda done, _: done * len(on) < checks, on, database)


@contextmanager
def query(url: str) -> Iterator[Work]:
    """Yield a function that runs the statement of a status on a persistent connection."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    cursor = connection.cursor()
    statement = str(SESSION_WITH_USER.statement.compile(dialect=make_url(url).get_dialect()()))
    cursor.execute("SELECT id FROM sessions LIMIT 1")
    values = {"session_id": cursor.fetchone()[0], "key_id": None}

    def ask() -> None:
        cursor.execute(statement, values)
        cursor.fetchall()

    try:
        yield ask
    finally:
        connection.close()


def ask_database(
    ask: Work, seconds: float, on: frozenset[int], database: psutil.Process
) -> Figures:
    """Measure a statement that one thread repeats for this time."""
    return _measured([ask], lambda _, elapsed: elapsed < seconds, on, database)


def _measured(
    works: Sequence[Work],
    goes_on: Callable[[int, float], bool],
    on: frozenset[int],
    database: psutil.Process,
) -> Figures:
    """Repeat each work in a separate thread on these cores; return the load and its cost."""

    def repeat(work: Work) -> tuple[float, list[float]]:
        latencies: list[float] = []
        started_at, used = time.perf_counter(), time.thread_time()
        while goes_on(len(latencies), time.perf_counter() - started_at):
            called_at = time.perf_counter()
            work()
            latencies.append(time.perf_counter() - called_at)
        return time.thread_time() - used, latencies

    process = psutil.Process()
    before = usage(process, database)
    with cores.pinned(on), ThreadPoolExecutor(len(works)) as pool:
        done = list(pool.map(repeat, works))
    after = usage(process, database)
    used = sum(seconds for seconds, _ in done)
    latencies = [latency for _, latencies in done for latency in latencies]
    elapsed = after.clock - before.clock
    load = Load(len(latencies), elapsed, percentile_ms(latencies, 50), percentile_ms(latencies, 99))
    return compute_measurement(load, before, replace(after, server=before.server + used)).figures()
