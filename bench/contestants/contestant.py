"""What a contestant is: one interface for services that look different from outside."""

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
    """Somebody who registers and logs in."""

    username: str
    email: str
    password: str


@dataclass(frozen=True)
class Call:
    """One HTTP request, ready to send; a client adds Host and Content-Length."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True)
class Tokens:
    """What a login gave; `access` is empty where a reply holds none."""

    access: str
    refresh: str | None = None


class Contestant(ABC):
    """A service to measure: how its schema is made, how it is started, and how it is called.

    It works on one database at a time: the one that it was prepared for last.
    """

    name: ClassVar[str]
    """What it is called on the command line."""
    title: ClassVar[str]
    """What it is called in a table."""
    server: ClassVar[str]
    """The server that it runs on."""
    environment: ClassVar[str] = ""
    """Its folder here and under `bench/.environments`; none: what runs the benchmark runs it."""
    shown: ClassVar[tuple[str, ...]]
    """The packages whose versions matter."""
    revokes: ClassVar[bool] = True
    """Whether its status refuses a token that was logged out."""
    note: ClassVar[str] = ""
    """What a reader of its figures has to know."""

    def __init__(self) -> None:
        self._settings: dict[str, str] = {}

    @property
    def folder(self) -> Path:
        """Where its app and its pinned packages are."""
        return FOLDER / self.environment

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        if not self.environment:
            return sys.executable
        return str(environments.folder(self.environment) / "bin" / "python")

    def packages(self) -> dict[str, str]:
        """Return the versions of the packages that matter, as they are installed."""
        return environments.versions(self.environment, self.shown)

    def prepare(self, database_url: str, cost: int, **settings: str) -> None:
        """Make the schema in an empty database, and remember database, bcrypt cost and settings.

        The settings are variables of the server's environment, like `THROTTLE_ENABLED` for ours.
        The environment is built first, where it is not. Raises CannotBuild, or CalledProcessError
        with what was said in `stderr`.
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
        """Return how the server is started: its arguments and its whole environment.

        It listens on 127.0.0.1, runs from any folder, and ends at SIGTERM. The process that is
        started may have workers beneath it. Give it `/dev/null` for its output.
        """
        argv, more = self.serving(port, workers)
        return argv, os.environ | self._settings | more

    def variables(self, database_url: str, cost: int) -> dict[str, str]:
        """Return what its processes are told by their environment."""
        return {"DATABASE_URL": database_url, "BENCH_COST": str(cost), "SECRET_KEY": SECRET}

    @abstractmethod
    def migration(self) -> list[str]:
        """Return the command that makes the schema; empty where there is none."""

    @abstractmethod
    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command that serves, and what its environment has beyond `variables`."""

    @abstractmethod
    def register(self, account: Account) -> Call:
        """Return the request that makes an account."""

    @abstractmethod
    def login(self, account: Account) -> Call:
        """Return the request that logs in."""

    @abstractmethod
    def status(self, tokens: Tokens) -> Call:
        """Return the request that asks who a token shows: a user as the database has it now."""

    @abstractmethod
    def logout(self, tokens: Tokens) -> Call:
        """Return the request that logs out."""

    def refresh(self, tokens: Tokens) -> Call | None:
        """Return the request that gets new tokens; None where there are no refresh tokens."""
        return None

    @abstractmethod
    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the tokens of the answer to a login or a refresh. Raises ValueError without."""


def bearer(token: str) -> dict[str, str]:
    """Return the header field that shows a token (RFC 6750, section 2.1)."""
    return {"Authorization": f"Bearer {token}"}


def post(path: str, payload: Mapping[str, object], headers: Mapping[str, str] = JSON) -> Call:
    """Return a POST of a JSON object."""
    return Call("POST", path, JSON | dict(headers), json.dumps(payload).encode())


def form(path: str, fields: Mapping[str, str]) -> Call:
    """Return a POST of a form."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Call("POST", path, headers, urlencode(fields).encode())


def read(status: int, body: bytes) -> dict[str, Any]:
    """Return the JSON object of a good answer. Raises ValueError where it is none."""
    if not 200 <= status < 300:
        raise ValueError(f"{status}: {body[:300]!r}")
    found: dict[str, Any] = json.loads(body)
    return found


def gunicorn(contestant: Contestant, app: str, port: int, workers: int) -> list[str]:
    """Return the command for gunicorn with its own default worker, the synchronous one."""
    return [
        contestant.python, "-m", "gunicorn", "--config", str(FOLDER / "gunicorn_settings.py"),
        "--chdir", str(contestant.folder), "--workers", str(workers),
        "--bind", f"127.0.0.1:{port}", app,
    ]  # fmt: skip
