"""Helpers of all tests: insert users and sessions, and call the service as a client."""

import http.client
import json
from collections.abc import Mapping
from contextvars import Context
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.datastructures import Headers

from project.clock import utcnow
from project.extensions import db
from project.models import Session, User
from project.security.tokens import Claims, Purpose

PASSWORD = "greaterthaneight"


def add_user(
    username: str = "michael",
    email: str = "michael@example.com",
    password: str = PASSWORD,
    **columns: Any,
) -> User:
    """Insert a user into the database of the current app."""
    user = User(username=username, email=email, password=password, **columns)
    db.session.add(user)
    db.session.commit()
    return user


def add_token(user_id: int, age: timedelta = timedelta(0)) -> str:
    """Insert a session that started this long ago; return its access token."""
    opened_at = utcnow() - age
    ends_at = opened_at + timedelta(minutes=5)
    session = Session(
        user_id=user_id,
        created_at=opened_at,
        refreshed_at=opened_at,
        last_seen_at=opened_at,
        expires_at=ends_at,
        address="127.0.0.1",
        user_agent="tests",
    )
    db.session.add(session)
    db.session.commit()
    return User.encode_auth_token(
        Claims(
            user_id=user_id,
            session_id=session.id,
            purpose=Purpose.ACCESS,
            issued_at=opened_at,
            expires_at=ends_at,
        )
    )


@dataclass(frozen=True)
class Reply:
    """The response as a client receives it."""

    status: int
    headers: Headers
    raw: bytes

    @property
    def body(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.raw)


class Caller:
    """A client of the service; subclasses choose the transport."""

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """Send a request unchanged."""
        raise NotImplementedError

    def call(
        self,
        method: str,
        path: str,
        payload: object = None,
        token: str | None = None,
        **headers: str,
    ) -> Reply:
        """Send a request, with a JSON payload and a bearer token if given."""
        body = None if payload is None else json.dumps(payload).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return self.send(method, path, body, headers)

    def get(self, path: str, token: str | None = None, **headers: str) -> Reply:
        """Send a GET request."""
        return self.call("GET", path, token=token, **headers)

    def post(self, path: str, payload: object = None, token: str | None = None) -> Reply:
        """Send a POST request with a JSON payload."""
        return self.call("POST", path, payload, token)

    def register(
        self,
        username: str = "justatest",
        email: str = "test@test.com",
        password: str = "123456",
    ) -> Reply:
        """Register a user."""
        return self.post(
            "/auth/register", {"username": username, "email": email, "password": password}
        )

    def login(self, email: str = "michael@example.com", password: str = PASSWORD) -> Reply:
        """Log in."""
        return self.post("/auth/login", {"email": email, "password": password})

    def status(self, token: str | None = None) -> Reply:
        """Look up the user of a token."""
        return self.get("/auth/status", token)

    def logout(self, token: str | None = None) -> Reply:
        """Log out."""
        return self.get("/auth/logout", token)


class InProcess(Caller):
    """A client in the same process: Flask's test client."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """Send a request unchanged."""
        # Outside the context of the test, so that each request has its own, as on a server.
        response = Context().run(
            self.client.open, path, method=method, data=body, headers=dict(headers), buffered=True
        )
        return Reply(response.status_code, response.headers, response.data)


class OverHTTP(Caller):
    """A client over HTTP that opens a connection for each request."""

    def __init__(self, url: str) -> None:
        self.address = urlsplit(url)

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        """Send a request unchanged."""
        connection = http.client.HTTPConnection(str(self.address.hostname), self.address.port, 30)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return Reply(response.status, Headers(response.getheaders()), response.read())
        finally:
            connection.close()
