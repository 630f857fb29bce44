"""Run real server processes, each with two workers."""

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
"""The line that each worker logs just before it accepts connections."""


def environment(url: str, **settings: str) -> dict[str, str]:
    """Return the environment of a server or command on this database."""
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
    """Return the command that starts this kind of server."""
    if kind == "gunicorn":
        program = ["-m", "gunicorn", "-w", str(workers), "-b", f"127.0.0.1:{port}", "manage:app"]
    elif kind == "granian":
        program = ["manage.py", "serve", "--workers", str(workers), "--port", str(port)]
    else:
        program = ["manage.py", kind, "--port", str(port)]
    return [sys.executable, *program]


@contextmanager
def running(kind: str, url: str, **settings: str) -> Iterator[str]:
    """Run a server on this database within the block; yield its URL."""
    with started(kind, environment(url, **settings)) as (server, _):
        yield server


@contextmanager
def started(
    kind: str, settings: dict[str, str], workers: int = WORKERS
) -> Iterator[tuple[str, list[str]]]:
    """Run a server in this environment; yield its URL and its output so far.

    After the block the output is complete.
    """
    with process(kind, settings, workers) as (_, server, output):
        yield server, output


@contextmanager
def process(
    kind: str, settings: dict[str, str], workers: int = WORKERS, port: int | None = None
) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """Run a server in this environment; yield its process, URL and output.

    The block may end the process itself.
    """
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
    output: list[str] = []
    assert server.stdout is not None
    # A full pipe would block the server.
    reader = threading.Thread(target=output.extend, args=(server.stdout,))
    try:
        _read_until_started(kind, server, workers, output)
        reader.start()
        wait_until_open(port)
        yield server, f"http://127.0.0.1:{port}", output
    finally:
        _stop(kind, server, reader)


def wait_until_open(port: int) -> None:
    """Wait until a worker listens: granian logs its start slightly earlier."""
    for _ in range(6000):  # a minute, on a busy machine
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        select.select([], [], [], 0.01)
    raise AssertionError(f"no server listens on port {port}")


def _stop(kind: str, process: subprocess.Popen[str], reader: threading.Thread) -> None:
    if kind == "runserver":  # its reloader does not stop its child
        os.killpg(process.pid, signal.SIGTERM)
    # At SIGTERM, gunicorn's workers look for it once a second.
    process.send_signal(signal.SIGQUIT if kind == "gunicorn" else signal.SIGTERM)
    with process:  # waits for the process to end
        if reader.ident:
            reader.join()


def _read_until_started(
    kind: str, process: subprocess.Popen[str], workers: int, output: list[str]
) -> None:
    """Read the output until each worker has logged its start."""
    started_line = STARTED[kind]
    times = 1 if kind == "runserver" else workers
    assert process.stdout is not None
    for line in process.stdout:
        output.append(line)
        if sum(started_line in earlier for earlier in output) == times:
            return
    raise AssertionError(f"{kind} ended before it accepted connections:\n{''.join(output)}")
