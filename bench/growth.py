"""The dependence of latency on the number of users.

Each number of users has its own database, with one session for each user, and its own worker; they
are measured in turn. There is one connection, so that the latency contains no time in a queue. The
users who send requests are chosen at random. Of the list of users the first page and the page
after its middle are requested.
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
from bench.load import Load, send_all
from bench.measuring import measure, measure_in_turn
from bench.operations import MIN_COST
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
"""Number of users who send requests."""
CONNECTIONS = 1

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
    """Users of one database, with their server and their requests."""

    server: Served
    statuses: list[Call]
    logins: list[Call]
    first_page: Call
    middle_page: Call


def run(bench: Bench) -> None:
    """Measure several numbers of users."""
    on = cores.apart()
    with bench.placed(on), ExitStack() as stack:
        works = {
            str(size): measuring(bench, stack.enter_context(gathered(bench, size, on.server)))
            for size in bench.plan.crowds
        }
        rows, failures = measure_in_turn(works, bench.plan)
    bench.results.put(SECTION, rows, failures)


@contextmanager
def gathered(bench: Bench, size: int, on: frozenset[int]) -> Iterator[Crowd]:
    """Fill a database with this number of users, and serve it during the block."""
    url = bench.database.new()
    prepare(CONTESTANTS[OURS], url, MIN_COST, SETTINGS)
    settings = {"SECRET_KEY": SECRET, "INSTANCE_PATH": tempfile.gettempdir()}
    crowd.fill(create_app(TestingConfig, DATABASE_TEST_URL=url, **settings), size)
    with served(CONTESTANTS[OURS], url, on) as server:
        yield choose_users(server)


def choose_users(server: Served) -> Crowd:
    """Return the requests of users chosen at random, the first of them an administrator."""
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
        contestant.status(make_token(UUID(session_id), user_id))
        for session_id, user_id, _ in chosen
    ]
    headers = statuses[0].headers
    return Crowd(
        server=server,
        statuses=statuses,
        logins=[contestant.login(Account("", email, PASSWORD)) for *_, email in chosen],
        first_page=Call("GET", "/users?limit=50", headers),
        middle_page=Call("GET", f"/users?limit=50&after={format_cursor(middle)}", headers),
    )


def make_token(session_id: UUID, user_id: int) -> Tokens:
    """Return a token for a session, as the service issues it."""
    now = utcnow()
    claims = Claims(user_id, session_id, Purpose.ACCESS, now, now + timedelta(days=1))
    return Tokens(tokens.encode(claims, signing_keys.from_secret(SECRET)))


def measuring(bench: Bench, asked: Crowd) -> Callable[[], Figures]:
    """Return a function that measures each kind of request once, in milliseconds."""
    port, seconds = asked.server.port, bench.plan.seconds / 2
    works: dict[str, Callable[[], Load]] = {
        "status": lambda: wrk.run(port, asked.statuses, seconds, CONNECTIONS),
        "login": lambda: send_all(port, asked.logins, CONNECTIONS)[0],
        "list": lambda: wrk.run(port, [asked.first_page], seconds, CONNECTIONS),
        "deep_list": lambda: wrk.run(port, [asked.middle_page], seconds, CONNECTIONS),
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
