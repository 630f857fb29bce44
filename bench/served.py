"""A contestant's server, started for a measurement and pinned to its cores."""

import http.client
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import psutil

from bench import cores, processes
from bench.contestants import Account, Call, Contestant, Tokens
from bench.contestants.contestant import ROOT
from bench.load import Failed, Reply, check_success, send, send_all
from project.tests.support.postgres import free_port

STARTING_SECONDS = 60.0
ENDING_SECONDS = 30.0
STEP_SECONDS = 0.002
PASSWORD = "correct horse battery staple"
CONNECTIONS = 4


@dataclass(frozen=True)
class Served:
    """A running contestant."""

    contestant: Contestant
    port: int
    process: psutil.Process
    database_url: str
    startup_seconds: float
    """Seconds from its start to its first response."""

    def call(self, call: Call) -> Reply:
        """Send a request on a new connection. Raises Failed if it does not succeed."""
        return check_success(call, reply(self.port, call))

    def register(self, accounts: Sequence[Account]) -> None:
        """Register these accounts."""
        send_all(self.port, [self.contestant.register(one) for one in accounts], CONNECTIONS)

    def log_in(self, accounts: Sequence[Account]) -> list[Tokens]:
        """Log in each account; return the tokens."""
        calls = [self.contestant.login(one) for one in accounts]
        _, replies = send_all(self.port, calls, CONNECTIONS)
        return [
            self.contestant.tokens(reply.status, reply.headers, reply.body) for reply in replies
        ]


def accounts(count: int, first: int = 0) -> list[Account]:
    """Return this number of accounts, each with a different name and address."""
    numbers = range(first, first + count)
    return [Account(f"user{one}", f"user{one}@example.com", PASSWORD) for one in numbers]


def reply(port: int, call: Call) -> Reply:
    """Send a request on a new connection; return the response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=STARTING_SECONDS)
    try:
        return send(connection, call)
    finally:
        connection.close()


def prepare(
    contestant: Contestant, database_url: str, cost: int, settings: Mapping[str, str]
) -> None:
    """Create the contestant's schema. Raises Failed with the output of the command."""
    try:
        contestant.prepare(database_url, cost, **settings)
    except subprocess.CalledProcessError as error:
        raise Failed(f"no schema: {str(error.stderr)[-500:]}") from None


@contextmanager
def served(
    contestant: Contestant, database_url: str, on: frozenset[int], workers: int = 1
) -> Iterator[Served]:
    """Serve a contestant on these cores during the block.

    It must have been prepared for this database last. Raises Failed if it does not start.
    """
    port = free_port()
    argv, environment = contestant.command(port, workers)
    asking = contestant.status(Tokens("none"))
    with started(argv, environment, port, on, asking) as (process, seconds):
        yield Served(contestant, port, process, database_url, seconds)


@contextmanager
def started(
    argv: Sequence[str], environment: Mapping[str, str], port: int, on: frozenset[int], asking: Call
) -> Iterator[tuple[psutil.Process, float]]:
    """Start a server on these cores; yield its process, and the seconds until its first response.

    The server's standard output is discarded. Raises Failed if the server does not respond.
    """
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        with cores.pinned(on):
            process = subprocess.Popen(
                argv, env=environment, stdout=subprocess.DEVNULL, stderr=errors, cwd=ROOT
            )
        server = psutil.Process(process.pid)
        try:
            _wait(process, port, asking, errors)
            yield server, time.perf_counter() - began
        finally:
            end(process, server)


def _wait(process: "subprocess.Popen[bytes]", port: int, asking: Call, errors: IO[bytes]) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            reply(port, asking)
        except (OSError, http.client.HTTPException):
            time.sleep(STEP_SECONDS)
        else:
            return
    errors.seek(0)
    raise Failed(f"does not serve: {errors.read()[-500:].decode(errors='replace')}")


def end(process: "subprocess.Popen[bytes]", server: psutil.Process) -> None:
    """End a server and all its workers."""
    if process.poll() is not None:
        return
    left = processes.tree(server)
    process.terminate()
    _, left = psutil.wait_procs(left, ENDING_SECONDS)
    for one in left:
        one.kill()
    process.wait()
