"""The contestant, a common interface for services with different APIs."""

import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from bench.contestants import environments

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent.parent
SECRET = "a7f3d9c1e5b802465c1e07d9ab34f68290e7d15b3fca86427b0d9e51f4a3c862"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Account:
    """The data of an account."""

    username: str
    email: str
    password: str


@dataclass(frozen=True)
class Call:
    """An HTTP request. The client adds Host and Content-Length."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True)
class Tokens:
    """The tokens of a login."""

    access: str
    refresh: str | None = None


class Contestant(ABC):
    """A service to measure: its commands for the schema and the server, and its requests.

    It uses one database at a time, the one for which it was prepared last.
    """

    name: ClassVar[str]
    """Its name on the command line."""
    title: ClassVar[str]
    """Its title in a table."""
    server: ClassVar[str]
    """The server that it runs on."""
    environment: ClassVar[str] = ""
    """Its folder here and in `bench/.environments`; empty for the environment of the benchmark."""
    shown: ClassVar[tuple[str, ...]]
    """The packages whose versions are listed."""
    revokes: ClassVar[bool] = True
    """Whether its status rejects a token after logout."""
    note: ClassVar[str] = ""
    """A note for readers of its results."""

    def __init__(self) -> None:
        self._settings: dict[str, str] = {}

    @property
    def folder(self) -> Path:
        """The folder of its app and its pinned packages."""
        return FOLDER / self.environment

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        if not self.environment:
            return sys.executable
        return str(environments.folder(self.environment) / "bin" / "python")

    def packages(self) -> dict[str, str]:
        """Return the installed versions of the listed packages."""
        return environments.versions(self.environment, self.shown)

    def prepare(self, database_url: str, cost: int, **settings: str) -> None:
        """Create the schema in an empty database, and store database, bcrypt cost and settings.

        The settings are environment variables of the server, like `THROTTLE_ENABLED` for this
        service. The environment is built first, if needed. Raises CannotBuild, or
        CalledProcessError with the output in `stderr`.
        """
        if self.environment:
            environments.build(self.environment)
        self._settings = self.variables(database_url, cost) | settings
        argv = self.migration()
        if argv:
            subprocess.run(
                argv, env=os.environ | self._settings, check=True, capture_output=True, text=True
            )

    def command(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command that starts the server, and all its environment variables.

        The server listens on 127.0.0.1, runs in any folder, and ends at SIGTERM. It may start
        worker processes. Its output should go to `/dev/null`.
        """
        argv, more = self.serving(port, workers)
        return argv, os.environ | self._settings | more

    def variables(self, database_url: str, cost: int) -> dict[str, str]:
        """Return the environment variables of its processes."""
        return {"DATABASE_URL": database_url, "BENCH_COST": str(cost), "SECRET_KEY": SECRET}

    @abstractmethod
    def migration(self) -> list[str]:
        """Return the command that creates the schema; empty if there is none."""

    @abstractmethod
    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command of the server, and environment variables besides `variables`."""

    @abstractmethod
    def register(self, account: Account) -> Call:
        """Return the request that registers an account."""

    @abstractmethod
    def login(self, account: Account) -> Call:
        """Return the request that logs in."""

    @abstractmethod
    def status(self, tokens: Tokens) -> Call:
        """Return the request for the user of a token, as the database has it now."""

    @abstractmethod
    def logout(self, tokens: Tokens) -> Call:
        """Return the request that logs out."""

    def refresh(self, tokens: Tokens) -> Call | None:
        """Return the request for new tokens; None if the contestant has no refresh tokens."""
        return None

    @abstractmethod
    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the tokens of a login or refresh. Raises ValueError if there are none."""


def bearer(token: str) -> dict[str, str]:
    """Return the header field for a bearer token (RFC 6750, section 2.1)."""
    return {"Authorization": f"Bearer {token}"}


def post(path: str, payload: Mapping[str, object], headers: Mapping[str, str] = JSON) -> Call:
    """Return a POST request with a JSON object."""
    return Call("POST", path, JSON | dict(headers), json.dumps(payload).encode())


def form(path: str, fields: Mapping[str, str]) -> Call:
    """Return a POST request with a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Call("POST", path, headers, urlencode(fields).encode())


def read(status: int, body: bytes) -> dict[str, Any]:
    """Return the JSON object of a successful response. Raises ValueError for any other."""
    if not 200 <= status < 300:
        raise ValueError(f"{status}: {body[:300]!r}")
    found: dict[str, Any] = json.loads(body)
    return found


def gunicorn(contestant: Contestant, app: str, port: int, workers: int) -> list[str]:
    """Return the command for gunicorn with its default worker, the synchronous one."""
    return [
        contestant.python, "-m", "gunicorn", "--config", str(FOLDER / "gunicorn_settings.py"),
        "--chdir", str(contestant.folder), "--workers", str(workers),
        "--bind", f"127.0.0.1:{port}", app,
    ]  # fmt: skip
