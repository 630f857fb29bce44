"""Contestants on Flask: what tutorials write, and the two extensions for it."""

from collections.abc import Mapping

from bench.contestants.contestant import (
    Account,
    Call,
    Contestant,
    Tokens,
    bearer,
    gunicorn,
    post,
    read,
)

BASE = ("Flask", "Flask-SQLAlchemy", "SQLAlchemy", "bcrypt", "psycopg2-binary", "gunicorn")


class FlaskContestant(Contestant):
    """A Flask app in a file of its own, on gunicorn."""

    server = "gunicorn sync"

    def migration(self) -> list[str]:
        """Return the command that creates the tables."""
        return [self.python, str(self.folder / "app.py")]

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command for gunicorn."""
        return gunicorn(self, "app:app", port, workers), {}


class Tutorial(FlaskContestant):
    """Flask and PyJWT, with a table of tokens that were logged out."""

    name = environment = "tutorial"
    title = "Flask + Flask-SQLAlchemy + PyJWT, as tutorials write it"
    shown = (*BASE, "Flask-Bcrypt", "PyJWT")
    note = "no refresh tokens; two SELECTs for a status, in a transaction"

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
        """Return the request that writes the token down."""
        return Call("POST", "/auth/logout", bearer(tokens.access))

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the token of an answer."""
        return Tokens(read(status, body)["auth_token"])
