"""Contestants on Flask: the code of tutorials, and two extensions."""

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
    """A Flask app in a single file, on gunicorn."""

    server = "gunicorn sync"

    def migration(self) -> list[str]:
        """Return the command that creates the tables."""
        return [self.python, str(self.folder / "app.py")]

    def serving(self, port: int, workers: int) -> tuple[list[str], dict[str, str]]:
        """Return the command for gunicorn."""
        return gunicorn(self, "app:app", port, workers), {}


class Tutorial(FlaskContestant):
    """Flask and PyJWT, with a table of blacklisted tokens."""

    name = environment = "tutorial"
    title = "Flask + Flask-SQLAlchemy + PyJWT, as in tutorials"
    shown = (*BASE, "Flask-Bcrypt", "PyJWT")
    note = "no refresh tokens; two SELECTs for a status, in a transaction"

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
        """Return the request that adds the token to the blacklist."""
        return Call("POST", "/auth/logout", bearer(tokens.access))

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the token of a response."""
        return Tokens(read(status, body)["auth_token"])


class FlaskJWTExtended(FlaskContestant):
    """Flask-JWT-Extended with a table of revoked tokens."""

    name = environment = "flask-jwt-extended"
    title = "Flask-JWT-Extended with a database blocklist"
    shown = (*BASE, "Flask-JWT-Extended", "Flask-Bcrypt", "PyJWT")
    note = "a refresh returns a new access token but no new refresh token"

    def register(self, account: Account) -> Call:
        """Return the request that registers an account."""
        return post("/register", vars(account))

    def login(self, account: Account) -> Call:
        """Return the request that logs in."""
        return post("/login", {"email": account.email, "password": account.password})

    def status(self, tokens: Tokens) -> Call:
        """Return the request for the user of a token."""
        return Call("GET", "/status", bearer(tokens.access))

    def logout(self, tokens: Tokens) -> Call:
        """Return the request that revokes the access token."""
        return Call("DELETE", "/logout", bearer(tokens.access))

    def refresh(self, tokens: Tokens) -> Call:
        """Return the request for a new access token."""
        return Call("POST", "/refresh", bearer(tokens.refresh or ""))

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the tokens of a response. A refresh returns no refresh token."""
        found = read(status, body)
        return Tokens(found["access_token"], found.get("refresh_token"))


class FlaskSecurity(FlaskContestant):
    """Flask-Security with its authentication tokens."""

    name = environment = "flask-security"
    title = "Flask-Security with authentication tokens"
    shown = (*BASE, "Flask-Security", "libpass")
    note = "its accounts have no username here; logging out revokes all tokens of the user"

    def register(self, account: Account) -> Call:
        """Return the request that registers an account."""
        return post("/register", {"email": account.email, "password": account.password})

    def login(self, account: Account) -> Call:
        """Return the request that logs in, with the parameter that requests a token."""
        payload = {"email": account.email, "password": account.password}
        return post("/login?include_auth_token", payload)

    def status(self, tokens: Tokens) -> Call:
        """Return the request for the user of a token; without Accept the response is a page."""
        headers = {"Authentication-Token": tokens.access, "Accept": "application/json"}
        return Call("GET", "/status", headers)

    def logout(self, tokens: Tokens) -> Call:
        """Return the request that revokes all tokens of the user."""
        return Call("POST", "/logout-tokens", {"Authentication-Token": tokens.access})

    def tokens(self, status: int, headers: Mapping[str, str], body: bytes) -> Tokens:
        """Return the token of a response."""
        return Tokens(read(status, body)["response"]["user"]["authentication_token"])
