"""Our service, and the floor beneath it: a Flask route on the same server."""

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
    """The service as it is shipped, in its production configuration.

    It logs as it does there: a line for every request to standard output, save for a status that
    was answered well.
    """

    name = "users"
    title = "users (this service)"
    root = ROOT
    """The checkout that is served."""
    server = "granian"
    shown = ("Flask", "SQLAlchemy", "PyJWT", "bcrypt", "psycopg2-binary", "granian")
    note = (
        "logs a line for each request, save a good status; counts attempts and writes an audit "
        "trail"
    )

    def variables(self, database_url: str, cost: int) -> dict[str, str]:
        """Return the settings of production."""
        return {
            "APP_SETTINGS": "project.config.ProductionConfig",
            "DATABASE_URL": database_url,
            "BCRYPT_LOG_ROUNDS": str(cost),
            "SECRET_KEY": SECRET,
            # Nobody balances load here, and who measures wants the server to end at once.
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
        """Return the request that makes an account."""
        return post("/auth/register", vars(account))

    def login(self, account: Account) -> Call:
        """Return the request that logs in."""
        return post("/auth/login", {"email": account.email, "password": account.password})

    def status(self, tokens: Tokens) -> Call:
        """Return the request that asks who a token shows."""
        return Call("GET", "/auth/status", bearer(tokens.access))

    def logout(self, tokens: Tokens) -> Call:
        """Return the request that ends the token's session."""
        return Call("GET", "/auth/logout", bearer(tokens.access))

    def refresh(self, tokens: Tokens) -> Call:
        """Return the request that gets new tokens."""
        return post("/auth/refresh", {"refresh_token": tokens.refresh})

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the tokens of an answer."""
        found = read(status, body)
        return Tokens(found["auth_token"], found["refresh_token"])


class UsersGunicorn(Users):
    """The same on gunicorn, with the configuration that gunicorn finds in the checkout."""

    name = "users-gunicorn"
    title = "users (this service) on gunicorn"
    server = "gunicorn threads"
    shown = ("Flask", "SQLAlchemy", "PyJWT", "bcrypt", "psycopg2-binary", "gunicorn")

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command of the README."""
        gunicorn = [sys.executable, "-m", "gunicorn", "--chdir", str(ROOT)]
        # Told by name, since it is looked for where gunicorn is started.
        gunicorn += ["--config", str(ROOT / "gunicorn.conf.py"), "--workers", str(workers)]
        return [*gunicorn, "--bind", f"127.0.0.1:{port}", "manage:app"], {}


class BareFlask(Contestant):
    """A Flask route that answers a constant, on granian with the options of our service."""

    name = "bare-flask"
    title = "A Flask route that answers a constant"
    server = "granian"
    shown = ("Flask", "granian")
    revokes = False
    note = (
        "the floor: no token is looked at, and there is no database; it loads all of the service "
        "for the sake of the server, so its memory and its start are no floor"
    )

    def migration(self) -> list[str]:
        """Return nothing: there is no schema."""
        return []

    def variables(self, database_url: str, cost: int) -> dict[str, str]:
        """Return nothing: it has no settings."""
        return {}

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command that serves with the options of `manage.py serve`."""
        argv = [sys.executable, "-m", "bench.contestants.bare_flask", str(port), str(workers)]
        return argv, {"PYTHONPATH": str(ROOT)}

    def register(self, account: Account) -> Call:
        """Return the one request that there is."""
        return Call("GET", "/", {})

    def login(self, account: Account) -> Call:
        """Return the one request that there is."""
        return Call("GET", "/", {})

    def status(self, tokens: Tokens) -> Call:
        """Return the one request that there is, with a token as any client sends it."""
        return Call("GET", "/", bearer(tokens.access))

    def logout(self, tokens: Tokens) -> Call:
        """Return the one request that there is."""
        return Call("GET", "/", {})

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return a token that nobody looks at."""
        return Tokens("constant")
