"""Whether the service grows slower with its crowd: the same requests among few and many users.

Each crowd is in a database of its own, with as many sessions as users, and has a worker of its own;
they are measured by turns. One connection, so that a wait is the time of a request and no queue.
Who asks is picked from the whole crowd at random; of the list the first page is asked for, and the
page behind its middle.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import psycopg2

from bench import cores, wrk
from bench.bench import OURS, SETTINGS, Bench
from bench.contestants import CONTESTANTS, Account, Call, Tokens
from bench.contestants.contestant import SECRET
from bench.deeds import MIN_COST
from bench.load import Load, send_all
from bench.measuring import by_turns, measure
from bench.results import Figures
from bench.served import Served, prepare, served
from project import create_app
from project.accounts.directory import Cursor
from project.api.schemas.fields import format_cursor
from project.clock import utcnow
from project.config import TestingConfig
from project.security import signing_keys, tokens
from project.security.tokens import Claims, Purpose
from project.tests.faults import crowd
from project.tests.utils import PASSWORD

SECTION = "growth"
CHOSEN = 256
"""Users of the crowd who ask."""
MAX_CONNECTIONS = 1

SESSIONS = """
    SELECT sessions.id::text, user_id, email FROM sessions JOIN users ON users.id = user_id
    ORDER BY random() LIMIT %s
"""
PROMOTE = "UPDATE users SET admin = true WHERE id = %s"
MIDDLE = """
    SELECT created_at, id FROM users ORDER BY created_at DESC, id DESC
    OFFSET (SELECT count(*) / 2 FROM users) LIMIT 1
"""


@dataclass(frozen=True)
class Crowd:
    """Some of a crowd: where they are served, and what they ask."""

    server: Served
    statuses: list[Call]
    logins: list[Call]
    first_page: Call
    middle_page: Call


def run(bench: Bench) -> None:
    """Measure crowds of several sizes."""
    on = cores.apart()
    with bench.placed(on), ExitStack() as stack:
        works = {
            str(size): measuring(bench, stack.enter_context(gathered(bench, size, on.server)))
            for size in bench.plan.crowds
        }
        rows, failures = by_turns(works, bench.plan)
    bench.results.put(SECTION, rows, failures)


@contextmanager
def gathered(bench: Bench, size: int, on: frozenset[int]) -> Iterator[Crowd]:
    """Fill a database with so many users, and serve it for as long as the block lasts."""
    url = bench.database.new()
    prepare(CONTESTANTS[OURS], url, MIN_COST, SETTINGS)
    settings = {"SECRET_KEY": SECRET, "INSTANCE_PATH": tempfile.gettempdir()}
    crowd.fill(create_app(TestingConfig, DATABASE_TEST_URL=url, **settings), size)
    with served(CONTESTANTS[OURS], url, on) as server:
        yield asking(server)


def asking(server: Served) -> Crowd:
    """Return what some of the crowd ask: users chosen at random, the first an administrator."""
    with (
        closing(psycopg2.connect(server.database_url)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(SESSIONS, [CHOSEN])
        chosen = cursor.fetchall()
        cursor.execute(PROMOTE, [chosen[0][1]])
        cursor.execute(MIDDLE)
        middle = Cursor(*cursor.fetchone())
        connection.commit()
    contestant = server.contestant
    statuses = [
        contestant.status(token(UUID(session_id), user_id)) for session_id, user_id, _ in chosen
    ]
    headers = statuses[0].headers
    return Crowd(
        server=server,
        statuses=statuses,
        logins=[contestant.login(Account("", email, PASSWORD)) for *_, email in chosen],
        first_page=Call("GET", "/users?limit=50", headers),
        middle_page=Call("GET", f"/users?limit=50&after={format_cursor(middle)}", headers),
    )


def token(session_id: UUID, user_id: int) -> Tokens:
    """Return what the service would have given for a session."""
    now = utcnow()
    claims = Claims(user_id, session_id, Purpose.ACCESS, now, now + timedelta(days=1))
    return Tokens(tokens.encode(claims, signing_keys.from_secret(SECRET)))


def measuring(bench: Bench, asked: Crowd) -> Callable[[], Figures]:
    """Return what measures every kind of request once, and tells their waits in milliseconds."""
    port, seconds = asked.server.port, bench.plan.seconds / 2
    works: dict[str, Callable[[], Load]] = {
        "status": lambda: wrk.run(port, asked.statuses, seconds, MAX_CONNECTIONS),
        "login": lambda: send_all(port, asked.logins, MAX_CONNECTIONS)[0],
        "list": lambda: wrk.run(port, [asked.first_page], seconds, MAX_CONNECTIONS),
        "deep_list": lambda: wrk.run(port, [asked.middle_page], seconds, MAX_CONNECTIONS),
    }

    def work() -> Figures:
        figures: Figures = {"foreign": 0.0}
        for name, load in works.items():
            found = measure(asked.server.process, bench.database.process, load)
            figures[f"{name}_ms"] = found.p50_ms
            figures[f"{name}_us"] = found.server_us + found.database_us
            figures["foreign"] = max(figures["foreign"], found.foreign)
        return figures

    return work
