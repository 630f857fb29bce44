"""A trial of a contestant: every kind of request once, over HTTP."""

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
    """The contestant does not work as required."""


def try_out(contestant: Contestant, server: Server, workers: int) -> str:
    """Return `ok`, or a description of the failure."""
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
    """Create an empty database; return its URL."""
    connection = psycopg2.connect(server.url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    connection.close()
    return f"{server.url.rpartition('/')[0]}/{name}"


@contextmanager
def started(contestant: Contestant, workers: int) -> Iterator[int]:
    """Serve during the block; yield the port as soon as the server responds.

    Its standard output is discarded.
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
            send(port, contestant.status(Tokens("none")))
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise Failed("does not respond")


def send(port: int, call: Call) -> tuple[int, dict[str, str], bytes]:
    """Send a request on a new connection; return status, header fields and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(call.method, call.path, call.body, dict(call.headers))
    answer = connection.getresponse()
    reply = answer.status, {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    connection.close()
    return *reply, body


def walk(contestant: Contestant, port: int) -> None:
    """Register, log in, refresh and log out, with a status between. Raises Failed or ValueError."""
    _succeed("register", port, contestant.register(ADA))
    tokens = contestant.tokens(*send(port, contestant.login(ADA)))
    answer = _succeed("status", port, contestant.status(tokens))
    if contestant.revokes and ADA.email.encode() not in answer:
        raise Failed("the status does not contain the user's e-mail address")
    refresh = contestant.refresh(tokens)
    if refresh is not None:
        tokens = contestant.tokens(*send(port, refresh))
        _succeed("status after refresh", port, contestant.status(tokens))
    _succeed("logout", port, contestant.logout(tokens))
    status, _, body = send(port, contestant.status(tokens))
    # better-auth returns 200 and `null` for a rejected token.
    rejected = status in {401, 403} or body == b"null"
    if rejected is not contestant.revokes:
        raise Failed(f"status after logout: {status} {body[:300]!r}")


def _succeed(step: str, port: int, call: Call) -> bytes:
    status, _, body = send(port, call)
    if not 200 <= status < 300:
        raise Failed(f"{step}: {status} {body[:300]!r}")
    return body


def _check_cost(contestant: Contestant, database_url: str) -> None:
    """Find the stored password hash in any table. Raises Failed if it has another cost."""
    costs = [int(cost) for row in _rows(database_url) for cost in HASH.findall(row)]
    if costs != [COST] * bool(contestant.migration()):
        raise Failed(f"the stored hashes have these costs: {costs}")


def _rows(database_url: str) -> list[str]:
    """Return every row of every table as text."""
    connection = psycopg2.connect(database_url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = []
        for (table,) in cursor.fetchall():
            cursor.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table)))
            found += [row for (row,) in cursor.fetchall()]
    connection.close()
    return found
