"""A recording server for tests of the client: it relays to a real service or plays a fake one.

The fake service gives responses that a real one gives after an hour, or never.
"""

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from unittest import TestCase
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
import time_machine
from joserfc.jwk import ECKey, OKPKey
from users_client.service import Service
from werkzeug.datastructures import Headers

from project.tests.support.signing import published, signed
from project.tests.utils import OverHTTP, Reply

Responder = Callable[[str, Mapping[str, str]], Reply]
"""Responds to a path with query and header fields; OSError closes the connection instead."""

FEED = "/auth/revocations"
KEYS = "/.well-known/jwks.json"
STATUS = "/auth/status"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAYLOAD: dict[str, Any] = {
    "sub": "7",
    "sid": uuid4().hex,
    "jti": uuid4().hex,
    "iat": int(NOON.timestamp()),
    "exp": int((NOON + timedelta(days=1)).timestamp()),
    "aud": "access",
}
EC = ECKey.generate_key("P-256")
ED = OKPKey.generate_key("Ed25519")
TOKEN = signed(EC, PAYLOAD)
SECRET_TOKEN = signed(b"the service's secret", PAYLOAD)
RELAYED_REQUEST_FIELDS = ("Authorization", "If-None-Match")
RELAYED_RESPONSE_FIELDS = ("ETag", "Cache-Control", "Location", "WWW-Authenticate")


@dataclass
class Recorder:
    """Records the requested paths in order."""

    respond: Responder
    url: str = ""
    asked: list[str] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def note(self, path: str) -> None:
        """Record a request."""
        with self.came:
            self.asked.append(urlsplit(path).path)
            self.came.notify_all()

    def wait_for_poll(self) -> None:
        """Wait until the feed has been read once completely: until its second request from now."""
        with self.came:
            wanted = self.asked.count(FEED) + 2
            assert self.came.wait_for(lambda: self.asked.count(FEED) >= wanted, 30)


class RecordingServer(ThreadingHTTPServer):
    """A server and its recorder."""

    recorder: Recorder


class Handler(BaseHTTPRequestHandler):
    """Records each request and sends the recorder's response."""

    server: RecordingServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the name is the library's
        """Record the request and respond."""
        self.server.recorder.note(self.path)
        try:
            reply = self.server.recorder.respond(self.path, dict(self.headers))
        except OSError:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name in RELAYED_RESPONSE_FIELDS:
            if name in reply.headers:
                self.send_header(name, reply.headers[name])
        if reply.status != 304:
            self.send_header("Content-Length", str(len(reply.raw)))
        self.end_headers()
        self.wfile.write(reply.raw)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def recorded(respond: Responder) -> Iterator[Recorder]:
    """Serve these responses within the block."""
    with RecordingServer(("127.0.0.1", 0), Handler) as server:
        server.recorder = Recorder(respond, f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.recorder
        finally:
            server.shutdown()
            thread.join()


def relay(url: str) -> Responder:
    """Return a responder that relays to the service at this URL."""
    service = OverHTTP(url)

    def respond(path: str, headers: Mapping[str, str]) -> Reply:
        return service.send(
            "GET", path, None, {n: headers[n] for n in RELAYED_REQUEST_FIELDS if n in headers}
        )

    return respond


@dataclass
class FakeService:
    """Responds as the service would with the data that a test sets."""

    keys: list[Mapping[str, Any]] = field(default_factory=list)
    session_ids: list[str] = field(default_factory=list)
    retired_keys: list[str] = field(default_factory=list)
    page_size: int = 1000
    settled: bool = True
    cache_control: str = "public, max-age=300"
    status: Reply | None = None
    feed: Reply | None = None
    prefix: str = ""
    unreachable: set[str] = field(default_factory=set)
    received: list[Mapping[str, str]] = field(default_factory=list)
    """The header fields of each request."""

    def __call__(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Respond to a request."""
        self.received.append(dict(headers))
        if not path.startswith(self.prefix):
            raise OSError
        parts = urlsplit(path.removeprefix(self.prefix))
        if parts.path in self.unreachable:
            raise OSError
        if parts.path == STATUS:
            return self.status or error_reply("token_invalid")
        if parts.path == FEED and self.feed is not None:
            return self.feed
        if parts.path == FEED:
            return self._tagged(self._page(int(parse_qs(parts.query)["after"][0])), headers)
        return self._tagged({"keys": self.keys}, headers)

    def _page(self, after: int) -> dict[str, Any]:
        page = self.session_ids[after : after + self.page_size]
        following = after + len(page) if self.settled else after
        data = {"session_ids": page, "retired_keys": self.retired_keys, "next": following}
        return {"status": "success", "data": data}

    def _tagged(self, body: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        raw = json.dumps(body).encode()
        etag = f'"{hashlib.sha256(raw).hexdigest()}"'
        fields = Headers({"ETag": etag, "Cache-Control": self.cache_control})
        unchanged = headers.get("If-None-Match") == etag
        return Reply(304, fields, b"") if unchanged else Reply(200, fields, raw)


def reply(status: int, body: object, **headers: str) -> Reply:
    """Return a response with this body as JSON."""
    return Reply(status, Headers(headers), json.dumps(body).encode())


def error_reply(code: str, status: int = 401) -> Reply:
    """Return an error in the service's envelope."""
    return reply(status, {"status": "error", "message": "No.", "code": code})


def status_reply(user_id: int) -> Reply:
    """Return the response of /auth/status for a user id."""
    return reply(200, {"status": "success", "admin": False, "data": {"id": user_id}})


def user_reply(*, admin: bool) -> Reply:
    """Return the response of /auth/status for a whole user."""
    data = {"id": 7, "username": "ada", "email": "ada@example.com", "admin": admin}
    return reply(200, {"status": "success", "admin": admin, "data": data})


class Clock:
    """A monotonic clock that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


@pytest.mark.any_database
class FakeServiceCase(TestCase):
    """A test against a fake service, with a clock that stands still."""

    def setUp(self) -> None:
        self.enterContext(time_machine.travel(NOON, tick=False))
        self.clock = Clock()
        self.service = FakeService(keys=[published(EC)])
        self.recorder = self.enterContext(recorded(self.service))
        self.reached = Service(self.recorder.url)
        self.addCleanup(self.reached.close)

    def count(self, path: str) -> int:
        """Return the number of requests for a path."""
        return self.recorder.asked.count(path)
