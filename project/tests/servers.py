"""Real server processes, each with two workers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.tests import databases
from project.tests.postgres import free_port

ROOT = Path(__file__).parent.parent.parent
WORKERS = "2"
STARTED = {"granian": "Started worker", "gunicorn": "Booting worker"}
"""What a server says once for each worker; connections queue from then on."""


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
    if kind == "granian":
        program = [sys.executable, "manage.py", "serve", "--workers", WORKERS]
        return [*program, "--port", str(port)]
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "-w",
        WORKERS,
        "-b",
        f"127.0.0.1:{port}",
        "manage:app",
    ]


@contextmanager
def running(kind: str, url: str, **settings: str) -> Iterator[str]:
    """Serve this database for as long as the block lasts; yield the server's URL."""
    port = free_port()
    process = subprocess.Popen(
        command(kind, port),
        cwd=ROOT,
        env=environment(url, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        _wait_for_workers(kind, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _wait_for_workers(kind: str, process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if sum(STARTED[kind] in earlier for earlier in said) == int(WORKERS):
            return
    raise AssertionError(f"{kind} ended before it served:\n{''.join(said)}")
