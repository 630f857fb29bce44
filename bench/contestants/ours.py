"""The contestants of this project: the service, and the baseline on the same server."""

import sys
from collections.abc import Mapping

from bench.contestants.contestant import (
    ROOT,
    SECRET,
    Account,
    Call,
    Contestant,
    Tokens,
    bearer,
    post,
    read,
)

NO_DRAIN = "0"


class Users(Contestant):
    """The service in its production configuration.

    As in production it logs a line for each request, except for a successful status.
    """

    name = "users"
    title = "users (this service)"
    root = ROOT
    """The folder of the checkout that is served."""
    server = "granian"
    shown = ("Flask", "SQLAlchemy", "PyJWT", "bcrypt", "psycopg2-binary", "granian")
    note = (
        "logs a line for each request except a successful status; has rate limits and an audit log"
    )

    def variables(self, database_url: str, cost: int) -> dict[str, str]:
        """Return the settings of production."""
        return {
            "APP_SETTINGS": "project.config.ProductionConfig",
            "DATABASE_URL": database_url,
            "BCRYPT_LOG_ROUNDS": str(cost),
            "SECRET_KEY": SECRET,
            # There is no load balancer, so the server can end at once.
            "DRAIN_SECONDS": NO_DRAIN,
        }

    def migration(self) -> list[str]:
        """Return the command that runs the migrations."""
        return [sys.executable, str(self.root / "manage.py"), "db", "upgrade"]

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command of the README."""
        serve = [sys.executable, str(self.root / "manage.py"), "serve"]
        return [*serve, "--port", str(port), "--workers", str(workers)], {}

    def register(self, account: Account) -> Call:
        """Return the request that registers an account."""
        return post("/auth/register", vars(account))

    def login(self, account: Account) -> Call:
        """Return the request that logs in."""
        return post("/auth/login", {"email": account.email, "password": account.password})

    def status(self, tokens: Tokens) -> Call:
        """Return the request for the user of a token."""
        return Call("GET", "/auth/status", bearer(tokens.access))

    def logout(self, tokens: Tokens) -> Call:
        """Return the request that ends the token's session."""
        return Call("GET", "/auth/logout", bearer(tokens.access))

    def refresh(self, tokens: Tokens) -> Call:
        """Return the request for new tokens."""
        return post("/auth/refresh", {"refresh_token": tokens.refresh})

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the tokens of a response."""
        found = read(status, body)
        return Tokens(found["auth_token"], found["refresh_token"])


class UsersGunicorn(Users):
    """The service on gunicorn, with the configuration file of the checkout."""

    name = "users-gunicorn"
    title = "users (this service) on gunicorn"
    server = "gunicorn threads"
    shown = ("Flask", "SQLAlchemy", "PyJWT", "bcrypt", "psycopg2-binary", "gunicorn")

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command of the README."""
        gunicorn = [sys.executable, "-m", "gunicorn", "--chdir", str(ROOT)]
        # gunicorn would look for its configuration in the working folder.
        gunicorn += ["--config", str(ROOT / "gunicorn.conf.py"), "--workers", str(workers)]
        return [*gunicorn, "--bind", f"127.0.0.1:{port}", "manage:app"], {}


class BareFlask(Contestant):
    """A Flask route that returns a constant, on granian with the options of this service."""

    name = "bare-flask"
    title = "A Flask route that returns a constant"
    server = "granian"
    shown = ("Flask", "granian")
    revokes = False
    note = (
        "the baseline: it verifies no token and has no database; it imports the whole service for "
        "its server, so its memory and its start are not a baseline"
    )

    def migration(self) -> list[str]:
        """Return an empty command, since there is no schema."""
        return []

    def variables(self, database_url: str, cost: int) -> dict[str, str]:
        """Return no variables, since it has no settings."""
        return {}

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command that serves it with the options of `manage.py serve`."""
        argv = [sys.executable, "-m", "bench.contestants.bare_flask", str(port), str(workers)]
        return argv, {"PYTHONPATH": str(ROOT)}

    def register(self, account: Account) -> Call:
        """Return the only request."""
        return Call("GET", "/", {})

    def login(self, account: Account) -> Call:
        """Return the only request."""
        return Call("GET", "/", {})

    def status(self, tokens: Tokens) -> Call:
        """Return its only request, with a token."""
        return Call("GET", "/", bearer(tokens.access))

    def logout(self, tokens: Tokens) -> Call:
        """Return the only request."""
        return Call("GET", "/", {})

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return a constant, which nothing verifies."""
        return Tokens("constant")
