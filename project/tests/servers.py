"""Real server processes, each with two workers."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.tests import databases
from project.tests.postgres import free_port

ROOT = Path(__file__).parent.parent.parent
WORKERS = 2
STARTED = {
    "granian": ("Started worker", WORKERS),
    "gunicorn": ("Booting worker", WORKERS),
    "runserver": ("Running on", 1),
}
"""What a server says, and how often, before connections to it are accepted or queue."""


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


def command(kind: str, port: int) -> list[str]:
    """Return how this kind of server is started."""
    if kind == "gunicorn":
        program = ["-m", "gunicorn", "-w", str(WORKERS), "-b", f"127.0.0.1:{port}", "manage:app"]
    elif kind == "granian":
        program = ["manage.py", "serve", "--workers", str(WORKERS), "--port", str(port)]
    else:
        program = ["manage.py", kind, "--port", str(port)]
    return [sys.executable, *program]


@contextmanager
def running(kind: str, url: str, **settings: str) -> Iterator[str]:
    """Serve this database for as long as the block lasts; yield the server's URL."""
    with started(kind, environment(url, **settings)) as (server, _):
        yield server


@contextmanager
def started(kind: str, settings: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Serve in this environment; yield the server's URL and the lines it has said so far."""
    port = free_port()
    process = subprocess.Popen(
        command(kind, port),
        cwd=ROOT,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said = _read_until_started(kind, process)
        _wait_until_open(port)
        yield f"http://127.0.0.1:{port}", said
    finally:
        _stop(kind, process)


def _wait_until_open(port: int) -> None:
    """Wait for the first worker that listens: granian says that it has started just before that."""
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        select.select([], [], [], 0.01)
    raise AssertionError(f"nobody listens on port {port}")


def _stop(kind: str, process: subprocess.Popen[str]) -> None:
    if kind == "runserver":  # whose reloader would leave its child behind
        os.killpg(process.pid, signal.SIGTERM)
    process.terminate()
    process.communicate(timeout=30)


def _read_until_started(kind: str, process: subprocess.Popen[str]) -> list[str]:
    sign, times = STARTED[kind]
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if sum(sign in earlier for earlier in said) == times:
            return said
    raise AssertionError(f"{kind} ended before it served:\n{''.join(said)}")
