"""Has a contestant show that it works: every kind of request once, over HTTP."""

import http.client
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from psycopg2 import sql

from bench.contestants.contestant import Account, Call, Contestant, Tokens
from project.tests.support.postgres import Server, free_port

ADA = Account("ada", "ada@example.com", "correct horse battery staple")
COST = 4
HASH = re.compile(r"\$2[aby]\$(\d\d)\$")
STARTING_SECONDS = 60


class Failed(Exception):
    """It does not do what a contestant does."""


def tried(contestant: Contestant, server: Server, workers: int) -> str:
    """Return `ok`, or what went wrong."""
    try:
        database_url = fresh_database(server, contestant.name)
        contestant.prepare(database_url, COST)
        with started(contestant, workers) as port:
            walk(contestant, port)
        _check_cost(contestant, database_url)
    except subprocess.CalledProcessError as error:
        return f"failed: {error}\n{error.stderr}"
    except (Failed, ValueError, KeyError, OSError) as error:
        return f"failed: {error!r}"
    return "ok"


def fresh_database(server: Server, name: str) -> str:
    """Make an empty database; return its URL."""
    connection = psycopg2.connect(server.url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connection.close()
    return f"{server.url.rpartition('/')[0]}/{name}"


@contextmanager
def started(contestant: Contestant, workers: int) -> Iterator[int]:
    """Serve for as long as the block lasts; yield the port, on which somebody answers.

    What it says goes to standard error.
    """
    port = free_port()
    argv, environment = contestant.command(port, workers)
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL)
    try:
        _wait(contestant, process, port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _wait(contestant: Contestant, process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            sent(port, contestant.status(Tokens("none")))
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Failed("does not serve")


def sent(port: int, call: Call) -> tuple[int, dict[str, str], bytes]:
    """Send a request on a connection of its own; return status, header fields and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(call.method, call.path, call.body, dict(call.headers))
    answer = connection.getresponse()
    reply = answer.status, {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    connection.close()
    return *reply, body


def walk(contestant: Contestant, port: int) -> None:
    """Register, log in, ask, refresh, log out and be refused. Raises Failed or ValueError."""
    _good("register", port, contestant.register(ADA))
    tokens = contestant.tokens(*sent(port, contestant.login(ADA)))
    answer = _good("status", port, contestant.status(tokens))
    if contestant.revokes and ADA.email.encode() not in answer:
        raise Failed("status does not tell who it is")
    refresh = contestant.refresh(tokens)
    if refresh is not None:
        tokens = contestant.tokens(*sent(port, refresh))
        _good("status after refresh", port, contestant.status(tokens))
    _good("logout", port, contestant.logout(tokens))
    status, _, body = sent(port, contestant.status(tokens))
    # Of better-auth, a good answer that holds nobody is its refusal.
    refused = status in {401, 403} or body == b"null"
    if refused is not contestant.revokes:
        raise Failed(f"status after logout: {status} {body[:300]!r}")


def _good(step: str, port: int, call: Call) -> bytes:
    status, _, body = sent(port, call)
    if not 200 <= status < 300:
        raise Failed(f"{step}: {status} {body[:300]!r}")
    return body


def _check_cost(contestant: Contestant, database_url: str) -> None:
    """Look for the one password that is kept, wherever it is. Raises Failed for another cost."""
    costs = [int(cost) for row in _rows(database_url) for cost in HASH.findall(row)]
    if costs != [COST] * bool(contestant.migration()):
        raise Failed(f"passwords are kept at these costs: {costs}")


def _rows(database_url: str) -> list[str]:
    """Return every row of every table, as a text."""
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = []
        for (table,) in cursor.fetchall():
            cursor.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
            found += [row for (row,) in cursor.fetchall()]
    connection.close()
    return found
