"""Contestants beyond Flask: Django, FastAPI and Node."""

import shutil
from collections.abc import Mapping
from typing import ClassVar

from bench.contestants import environments
from bench.contestants.contestant import (
    Account,
    Call,
    Contestant,
    Tokens,
    bearer,
    form,
    gunicorn,
    post,
    read,
)


class DjangoSimpleJWT(Contestant):
    """Django REST framework with Simple JWT and its blacklist."""

    name = environment = "django-simplejwt"
    title = "Django REST framework with Simple JWT and its blacklist"
    server = "gunicorn sync"
    shown = (
        "Django", "djangorestframework", "djangorestframework-simplejwt", "bcrypt", "psycopg",
        "gunicorn",
    )  # fmt: skip
    revokes = False
    note = "an access token cannot be revoked: a status only loads the user"

    def migration(self) -> list[str]:
        """Return the command that runs Django's own migrations."""
        django = [self.python, "-m", "django", "migrate", "--verbosity", "0"]
        return [*django, "--pythonpath", str(self.folder), "--settings", "settings"]

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command for gunicorn."""
        return gunicorn(self, "wsgi:application", port, workers), {}

    def register(self, account: Account) -> Call:
        """Return the request that registers an account."""
        return post("/register", vars(account))

    def login(self, account: Account) -> Call:
        """Return the request that logs in, by username, as Django's own users do."""
        return post("/login", {"username": account.username, "password": account.password})

    def status(self, tokens: Tokens) -> Call:
        """Return the request for the user of a token."""
        return Call("GET", "/status", bearer(tokens.access))

    def logout(self, tokens: Tokens) -> Call:
        """Return the request that blacklists the refresh token."""
        return post("/logout", {"refresh": tokens.refresh})

    def refresh(self, tokens: Tokens) -> Call:
        """Return the request for new tokens."""
        return post("/refresh", {"refresh": tokens.refresh})

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the tokens of a response."""
        found = read(status, body)
        return Tokens(found["access"], found["refresh"])


class FastAPIUsers(Contestant):
    """FastAPI Users on uvicorn, asynchronous down to the driver."""

    server = "uvicorn (uvloop, httptools)"
    environment = "fastapi-users"
    shown = (
        "fastapi", "fastapi-users", "fastapi-users-db-sqlalchemy", "SQLAlchemy", "asyncpg",
        "bcrypt", "pwdlib", "uvicorn", "uvloop", "httptools",
    )  # fmt: skip
    strategy: ClassVar[str]

    def variables(self, database_url: str, cost: int) -> dict[str, str]:
        """Return the environment variables of its processes."""
        return super().variables(database_url, cost) | {"BENCH_STRATEGY": self.strategy}

    def migration(self) -> list[str]:
        """Return the command that creates the tables."""
        return [self.python, str(self.folder / "app.py")]

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command for uvicorn, without an access log, as for all contestants."""
        argv = [self.python, "-m", "uvicorn", "app:app", "--app-dir", str(self.folder)]
        argv += ["--loop", "uvloop", "--http", "httptools", "--log-level", "warning"]
        argv += ["--no-access-log", "--workers", str(workers)]
        return [*argv, "--host", "127.0.0.1", "--port", str(port)], {}

    def register(self, account: Account) -> Call:
        """Return the request that registers an account."""
        return post("/auth/register", vars(account))

    def login(self, account: Account) -> Call:
        """Return the request that logs in, with the form of OAuth 2.0's password grant."""
        return form("/auth/login", {"username": account.email, "password": account.password})

    def status(self, tokens: Tokens) -> Call:
        """Return the request for the user of a token."""
        return Call("GET", "/users/me", bearer(tokens.access))

    def logout(self, tokens: Tokens) -> Call:
        """Return the request that logs out."""
        return Call("POST", "/auth/logout", bearer(tokens.access))

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the token of a response."""
        return Tokens(read(status, body)["access_token"])


class FastAPIUsersJWT(FastAPIUsers):
    """FastAPI Users with JSON Web Tokens."""

    name = "fastapi-users-jwt"
    title = "FastAPI Users, JWT strategy"
    strategy = "jwt"
    revokes = False
    note = "a token cannot be revoked: a status only loads the user"


class FastAPIUsersDatabase(FastAPIUsers):
    """FastAPI Users with tokens in the database."""

    name = "fastapi-users-database"
    title = "FastAPI Users, database strategy"
    strategy = "database"
    note = "its tokens are random and stored in the database as plain text"


class BetterAuth(Contestant):
    """Better Auth on Node's own HTTP server."""

    name = environment = "better-auth"
    title = "Better Auth with the bearer plugin"
    server = "node"
    shown = ("better-auth", "pg", "@node-rs/bcrypt")
    note = "counts requests in memory, as in production, with a limit that is never reached"

    def variables(self, database_url: str, cost: int) -> dict[str, str]:
        """Return the environment variables of its processes."""
        return super().variables(database_url, cost) | {"NODE_ENV": "production"}

    def prepare(self, database_url: str, cost: int, **settings: str) -> None:
        """Make the schema; first copy the app to where Node finds the packages."""
        environments.build(self.environment)
        for source in self.folder.glob("*.mjs"):
            shutil.copy(source, environments.folder(self.environment))
        super().prepare(database_url, cost, **settings)

    def migration(self) -> list[str]:
        """Return the command that runs its own migrations."""
        return ["node", str(environments.folder(self.environment) / "migrate.mjs")]

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command for Node."""
        server = environments.folder(self.environment) / "server.mjs"
        url = {"BENCH_URL": f"http://127.0.0.1:{port}"}
        return ["node", str(server), str(port), str(workers)], url

    def register(self, account: Account) -> Call:
        """Return the request that registers an account."""
        payload = {"name": account.username, "email": account.email, "password": account.password}
        return post("/api/auth/sign-up/email", payload, BEHIND_PROXY)

    def login(self, account: Account) -> Call:
        """Return the request that logs in."""
        payload = {"email": account.email, "password": account.password}
        return post("/api/auth/sign-in/email", payload, BEHIND_PROXY)

    def status(self, tokens: Tokens) -> Call:
        """Return the request for the user of a token; a rejected token gets `null`."""
        return Call("GET", "/api/auth/get-session", BEHIND_PROXY | bearer(tokens.access))

    def logout(self, tokens: Tokens) -> Call:
        """Return the request that deletes the session."""
        return Call("POST", "/api/auth/sign-out", BEHIND_PROXY | bearer(tokens.access))

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the token, which the bearer plugin puts into a header field."""
        read(status, body)
        return Tokens({name.lower(): value for name, value in headers.items()}["set-auth-token"])


BEHIND_PROXY = {"X-Forwarded-For": "127.0.0.1"}
"""Better Auth counts requests by the client's address, which it reads from this header only."""
