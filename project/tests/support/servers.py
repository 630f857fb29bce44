"""Real server processes, each with two workers."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from project.tests.support import databases
from project.tests.support.paths import ROOT
from project.tests.support.postgres import free_port

WORKERS = 2
STARTED = {
    "granian": "Started worker",
    "gunicorn": "Booting worker",
    "runserver": "Running on",
}
"""What a server says, each worker for itself, before connections to it are accepted or queue."""


def environment(url: str, **settings: str) -> dict[str, str]:
    """Return the environment of a process that serves, or works on, this database."""
    return (
        os.environ
        | {
            "APP_SETTINGS": "project.config.TestingConfig",
            "DATABASE_TEST_URL": url,
            "SECRET_KEY": databases.SECRET_KEY,
            "TOKEN_EXPIRATION_SECONDS": "300",
            "INSTANCE_PATH": str(databases.folder()),
            "PYTHONUNBUFFERED": "1",
        }
        | settings
    )


def command(kind: str, port: int, workers: int = WORKERS) -> list[str]:
    """Return how this kind of server is started."""
    if kind == "gunicorn":
        program = ["-m", "gunicorn", "-w", str(workers), "-b", f"127.0.0.1:{port}", "manage:app"]
    elif kind == "granian":
        program = ["manage.py", "serve", "--workers", str(workers), "--port", str(port)]
    else:
        program = ["manage.py", kind, "--port", str(port)]
    return [sys.executable, *program]


@contextmanager
def running(kind: str, url: str, **settings: str) -> Iterator[str]:
    """Serve this database for as long as the block lasts; yield the server's URL."""
    with started(kind, environment(url, **settings)) as (server, _):
        yield server


@contextmanager
def started(
    kind: str, settings: dict[str, str], workers: int = WORKERS
) -> Iterator[tuple[str, list[str]]]:
    """Serve in this environment; yield the server's URL and the lines it has said so far.

    When it has ended, all that it said is there.
    """
    with process(kind, settings, workers) as (_, server, said):
        yield server, said


@contextmanager
def process(
    kind: str, settings: dict[str, str], workers: int = WORKERS, port: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """Serve in this environment; yield the process too, which the block may end by itself."""
    port = port or free_port()
    server = subprocess.Popen(
        command(kind, port, workers),
        cwd=ROOT,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    said: list[str] = []
    assert server.stdout is not None
    # A pipe that nobody empties would stop the server.
    reader = threading.Thread(target=said.extend, args=(server.stdout,))
    try:
        _read_until_started(kind, server, workers, said)
        reader.start()
        wait_until_open(port)
        yield server, f"http://127.0.0.1:{port}", said
    finally:
        _stop(kind, server, reader)


def wait_until_open(port: int) -> None:
    """Wait for the first worker that listens: granian says that it has started just before that."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        select.select([], [], [], 0.01)
    raise AssertionError(f"nobody listens on port {port}")


def _stop(kind: str, process: subprocess.Popen[str], reader: threading.Thread) -> None:
    if kind == "runserver":  # whose reloader would leave its child behind
        os.killpg(process.pid, signal.SIGTERM)
    process.terminate()
    with process:  # waits for its end
        if reader.ident:
            reader.join()


def _read_until_started(
    kind: str, process: subprocess.Popen[str], workers: int, said: list[str]
) -> None:
    """Read what the server says until each of its workers has said that it serves."""
    sign = STARTED[kind]
    times = 1 if kind == "runserver" else workers
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if sum(sign in earlier for earlier in said) == times:
            return
    raise AssertionError(f"{kind} ended before it served:\n{''.join(said)}")
