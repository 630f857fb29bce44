"""What stands between a verifier and the service in tests: a server that notes what is asked.

It hands every request on to a real service, or answers by itself what a real one would say only
after an hour, or never.
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

Answering = Callable[[str, Mapping[str, str]], Reply]
"""Answers a path with its query and the request's header fields; OSError is no answer at all."""

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
SENT_ON = ("Authorization", "If-None-Match")
ANSWERED = ("ETag", "Cache-Control", "Location", "WWW-Authenticate")


@dataclass
class Recorder:
    """Notes the paths that are asked for, in their order."""

    answer: Answering
    url: str = ""
    asked: list[str] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def note(self, path: str) -> None:
        """Note a request."""
        with self.came:
            self.asked.append(urlsplit(path).path)
            self.came.notify_all()

    def wait_for_poll(self) -> None:
        """Return when the feed has been read from now on: its next reading but one has begun."""
        with self.came:
            wanted = self.asked.count(FEED) + 2
            assert self.came.wait_for(lambda: self.asked.count(FEED) >= wanted, 30)


class RecordingServer(ThreadingHTTPServer):
    """A server with its recorder."""

    recorder: Recorder


class Handler(BaseHTTPRequestHandler):
    """Answers what the recorder's answering says."""

    server: RecordingServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:  # the name is the library's
        """Note the request and answer it."""
        self.server.recorder.note(self.path)
        try:
            reply = self.server.recorder.answer(self.path, dict(self.headers))
        except OSError:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name in ANSWERED:
            if name in reply.headers:
                self.send_header(name, reply.headers[name])
        if reply.status != 304:
            self.send_header("Content-Length", str(len(reply.raw)))
        self.end_headers()
        self.wfile.write(reply.raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def recorded(answer: Answering) -> Iterator[Recorder]:
    """Serve these answers for as long as the block lasts."""
    with RecordingServer(("127.0.0.1", 0), Handler) as server:
        server.recorder = Recorder(answer, f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.recorder
        finally:
            server.shutdown()
            thread.join()


def relay(url: str) -> Answering:
    """Return the answers of the service at this URL."""
    service = OverHTTP(url)

    def answer(path: str, headers: Mapping[str, str]) -> Reply:
        return service.send("GET", path, None, {n: headers[n] for n in SENT_ON if n in headers})

    return answer


@dataclass
class StandIn:
    """Answers like the service, as a test wants it."""

    keys: list[Mapping[str, Any]] = field(default_factory=list)
    session_ids: list[str] = field(default_factory=list)
    retired_keys: list[str] = field(default_factory=list)
    page_size: int = 1000
    settled: bool = True
    cache_control: str = "public, max-age=300"
    status: Reply | None = None
    feed: Reply | None = None
    prefix: str = ""
    away: set[str] = field(default_factory=set)
    said: list[Mapping[str, str]] = field(default_factory=list)
    """The header fields that each request came with."""

    def __call__(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Answer a request."""
        self.said.append(dict(headers))
        if not path.startswith(self.prefix):
            raise OSError
        parts = urlsplit(path.removeprefix(self.prefix))
        if parts.path in self.away:
            raise OSError
        if parts.path == STATUS:
            return self.status or refusal("token_invalid")
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
    """Return an answer with this body as JSON."""
    return Reply(status, Headers(headers), json.dumps(body).encode())


def refusal(code: str, status: int = 401) -> Reply:
    """Return a refusal in the service's envelope."""
    return reply(status, {"status": "error", "message": "No.", "code": code})


def shown(user_id: int) -> Reply:
    """Return what /auth/status says of a good token."""
    return reply(200, {"status": "success", "admin": False, "data": {"id": user_id}})


def user(*, admin: bool) -> Reply:
    """Return what /auth/status says of the user of a good token."""
    data = {"id": 7, "username": "ada", "email": "ada@example.com", "admin": admin}
    return reply(200, {"status": "success", "admin": admin, "data": data})


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        """Answer the time."""
        return self.now


@pytest.mark.any_database
class StandInCase(TestCase):
    """A test with a stand-in of the service, and with a clock."""

    def setUp(self) -> None:
        self.enterContext(time_machine.travel(NOON, tick=False))
        self.clock = Clock()
        self.service = StandIn(keys=[published(EC)])
        self.recorder = self.enterContext(recorded(self.service))
        self.reached = Service(self.recorder.url)
        self.addCleanup(self.reached.close)

    def count(self, path: str) -> int:
        """Return how often a path was asked for."""
        return self.recorder.asked.count(path)
