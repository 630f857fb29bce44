"""What nobody can be faster than: bcrypt itself, and the status's query sent by psycopg2 itself."""

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
from bench.measuring import compared, usage
from bench.results import Figures
from project.accounts.sessions import SESSION_WITH_USER

BCRYPT = "raw bcrypt"
QUERY = "raw psycopg2"
PASSWORD = b"correct horse battery staple"

Deed = Callable[[], object]


def check_passwords(
    cost: int, checks: int, on: frozenset[int], database: psutil.Process
) -> Figures:
    """Check a password against a hash of this cost so many times, in a thread on each core."""
    kept = bcrypt.hashpw(PASSWORD, bcrypt.gensalt(cost))
    deeds = [lambda: bcrypt.checkpw(PASSWORD, kept)] * len(on)
    return _measured(deeds, lambda done, _: done * len(on) < checks, on, database)


@contextmanager
def query(url: str) -> Iterator[Deed]:
    """Yield what sends the statement of a status to our schema, on a connection that is kept."""
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
    ask: Deed, seconds: float, on: frozenset[int], database: psutil.Process
) -> Figures:
    """Send a statement again and again for so long, from one thread."""
    return _measured([ask], lambda _, elapsed: elapsed < seconds, on, database)


def _measured(
    deeds: Sequence[Deed],
    goes_on: Callable[[int, float], bool],
    on: frozenset[int],
    database: psutil.Process,
) -> Figures:
    """Do each deed in a thread of its own on these cores, and return what it was and cost."""

    def work(deed: Deed) -> tuple[float, list[float]]:
        waits: list[float] = []
        began, used = time.perf_counter(), time.thread_time()
        while goes_on(len(waits), time.perf_counter() - began):
            asked = time.perf_counter()
            deed()
            waits.append(time.perf_counter() - asked)
        return time.thread_time() - used, waits

    ourselves = psutil.Process()
    before = usage(ourselves, database)
    with cores.pinned(on), ThreadPoolExecutor(len(deeds)) as pool:
        done = list(pool.map(work, deeds))
    after = usage(ourselves, database)
    used = sum(seconds for seconds, _ in done)
    waits = [wait for _, waits in done for wait in waits]
    elapsed = after.clock - before.clock
    load = Load(len(waits), elapsed, percentile_ms(waits, 50), percentile_ms(waits, 99))
    return compared(load, before, replace(after, server=before.server + used)).figures()
