"""The service as it is shipped, started for a benchmark: on a database of its own."""

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
SECRET = "a7f3d9c1e5b80246" * 4
PASSWORD = "correct horse battery staple"
EMAIL = "ada@example.com"


@dataclass(frozen=True)
class Served:
    """A running service."""

    port: int
    process: psutil.Process

    def call(self, method: str, path: str, payload: object = None, token: str = "") -> "Reply":
        """Send a request; return what came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"} if payload is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = None if payload is None else json.dumps(payload)
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        reply = Reply(answer.status, json.loads(answer.read()))
        connection.close()
        return reply

    def register(self) -> str:
        """Make the account of the benchmarks; return its token."""
        account = {"username": "ada", "email": EMAIL, "password": PASSWORD}
        token: str = self.call("POST", "/auth/register", account).body["auth_token"]
        return token

    def cpu_seconds(self) -> float:
        """Return what the whole process tree has used of the processors."""
        tree = [self.process, *self.process.children(recursive=True)]
        return sum(sum(one.cpu_times()[:2]) for one in tree)


@dataclass(frozen=True)
class Reply:
    """A status and a body."""

    status: int
    body: dict[str, str]


@contextmanager
def served(
    root: Path = ROOT, *, workers: int = 1, cores: str = "", **settings: str
) -> Iterator[Served]:
    """Serve a checkout on a new SQLite file, or on DATABASE_URL where the settings have one.

    `cores` pins the processes (taskset); none is pinned where it is empty.
    """
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        probe.close()
        environment = os.environ | {
            "APP_SETTINGS": "project.config.ProductionConfig",
            "DATABASE_URL": f"sqlite:///{folder}/bench.sqlite",
            "SECRET_KEY": SECRET,
            "INSTANCE_PATH": folder,
            **settings,
        }
        manage = [sys.executable, "manage.py"]
        subprocess.run(
            [*manage, "db", "upgrade"], cwd=root, env=environment, check=True, capture_output=True
        )
        pinned = ["taskset", "-c", cores] if cores else []
        serve = [*pinned, *manage, "serve", "--port", str(port), "--workers", str(workers)]
        process = subprocess.Popen(
            serve, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            started = Served(port, psutil.Process(process.pid))
            _wait(started)
            yield started
        finally:
            process.terminate()
            process.wait(30)


def _wait(started: Served) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            started.call("GET", "/ping")
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("the service does not answer; is the port free?")
