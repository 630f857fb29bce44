"""The service behind real servers: granian and gunicorn."""

import http.client
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.datastructures import Headers

from project.extensions import db
from project.models import Session, User
from project.security.addresses import UNKNOWN
from project.tests.base import empty_tables
from project.tests.support import databases, servers
from project.tests.support.bad_input import BadInput
from project.tests.support.contract import USER_EXISTS, AuthContract
from project.tests.utils import PASSWORD, OverHTTP, Reply

pytestmark = pytest.mark.processes


CROWD = 50
WITHIN = 1.0
"""Maximum seconds for requests beside clients that do not close their connections."""
UNCLOSED = 12
CLIENT = "203.0.113.7"
SPOOFED = "198.51.100.9"


class ServedCase(AuthContract, BadInput):
    """The contract and bad input over HTTP, with two workers on one database."""

    __test__ = False
    kind: ClassVar[str]
    url: ClassVar[str]
    served_app: ClassVar[Flask]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        database = databases.new_database()
        cls.served_app = databases.new_app(database)
        cls.url = cls.enterClassContext(
            servers.running(cls.kind, database, TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8")
        )

    def setUp(self) -> None:
        self.app = self.served_app
        self.caller: OverHTTP = OverHTTP(self.url)
        with self.app.app_context():
            empty_tables()

    def test_a_logout_takes_effect_in_every_worker(self) -> None:
        user_id = self.add_user()
        for _ in range(5):
            token = self.add_token(user_id)
            self.assertEqual(self.caller.logout(token).status, 200)
            replies = [self.caller.status(token) for _ in range(8)]
            self.assertEqual({reply.status for reply in replies}, {401})

    def test_chunked_bodies_are_parsed_or_rejected(self) -> None:
        good = json.dumps({"email": "a@b.c", "password": "x"}).encode()
        whole = b"%x\r\n%b\r\n0\r\n\r\n" % (len(good), good)
        for body, status in (
            (whole, 404),
            (b"zz\r\n" + good + b"\r\n0\r\n\r\n", 400),
            (b"5\r\n" + good + b"\r\n0\r\n\r\n", 400),
            (b"-5\r\n" + good + b"\r\n0\r\n\r\n", 400),
            (b"fff\r\n" + good[:-1], 400),
            ((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 5 + b"0\r\n\r\n", 413),
            ((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 250 + b"0\r\n\r\n", 413),
        ):
            with self.subTest(body[:40]):
                reply = self.send_raw(b"Transfer-Encoding: chunked\r\n\r\n" + body)
                self.assertEqual((reply.status, reply.body["status"]), (status, "error"))
                self.assertEqual(reply.headers["Content-Type"], "application/json")

    def test_an_incomplete_body_is_rejected(self) -> None:
        body = json.dumps({"email": "a@b.c", "password": "x"}).encode()
        reply = self.send_raw(b"Content-Length: 100\r\n\r\n" + body)
        self.assert_error(reply, 400, "Bad request.", "bad_request")

    def test_a_much_too_large_body_is_rejected_unread(self) -> None:
        reply = self.send_raw(b"Content-Length: 99999999\r\n\r\n")
        self.assert_error(reply, 413, "Payload too large.", "payload_too_large")

    def send_raw(self, rest: bytes) -> Reply:
        """Send a login that ends with these bytes: its last header field and its body."""
        address = urlsplit(self.url)
        head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        with socket.create_connection((str(address.hostname), address.port), 30) as connection:
            connection.sendall(head + b"Connection: close\r\n" + rest)
            if not rest.endswith(
                b"0\r\n\r\n"
            ):  # a server could interpret this as the end of the client
                connection.shutdown(socket.SHUT_WR)
            response = http.client.HTTPResponse(connection)
            response.begin()
            return Reply(response.status, Headers(response.getheaders()), response.read())

    def test_several_forwarding_fields_arrive_in_order(self) -> None:
        for lines, expected in (
            ((SPOOFED, CLIENT), CLIENT),
            ((SPOOFED, CLIENT, "10.0.0.2"), CLIENT),
            ((SPOOFED, f"{CLIENT}, 10.0.0.3", "10.0.0.2"), CLIENT),
            ((CLIENT, "", "10.0.0.2"), UNKNOWN),
        ):
            recorded = self.recorded_address(*(("X-Forwarded-For", line) for line in lines))
            self.assertEqual(recorded, expected)

    def recorded_address(self, *fields: tuple[str, str]) -> str:
        """Log in with these header fields; return the recorded address of the session."""
        with self.app.app_context():
            empty_tables()
        self.add_user()
        payload = json.dumps({"email": "michael@example.com", "password": PASSWORD}).encode()
        lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in fields)
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(payload), payload)
        reply = self.send_raw(lines + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        self.assertEqual(reply.status, 200)
        with self.app.app_context():
            return db.session.scalars(select(Session.address)).one()

    def test_one_of_fifty_equal_concurrent_registrations_succeeds(self) -> None:
        with ThreadPoolExecutor(CROWD) as crowd:
            replies = list(crowd.map(lambda _: self.caller.register(), range(CROWD)))
        succeeded = [reply for reply in replies if reply.status == 201]
        self.assertEqual(len(succeeded), 1)
        for reply in replies:
            if reply.status == 503:
                self.assertEqual(reply.body["code"], "overloaded")
                self.assertIn("Retry-After", reply.headers)
            elif reply is not succeeded[0]:
                self.assert_error(reply, 400, USER_EXISTS, "user_exists")
        self.assertEqual((self.count(User), self.count(Session)), (1, 1))

    def connect(self) -> socket.socket:
        """Open a connection, which is closed when the test ends."""
        address = (str(self.caller.address.hostname), self.caller.address.port)
        return self.enterContext(socket.create_connection(address, 10))

    def test_a_connection_survives_a_rejection_before_the_body(self) -> None:
        connection = self.connect()
        for status, path, extra, body in (
            (401, "/users", "", b"x" * 200),
            (404, "/nope", "", b"x" * 200),
            (405, "/ping", "", b"x" * 200),
            (415, "/auth/login", "Content-Encoding: gzip\r\n", b"x" * 200),
            (413, "/auth/login", "", b"x" * 20_000),
            (401, "/users", "", b"x" * 500_000),
        ):
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{extra}"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
            )
            for _ in range(4):  # long enough for a response that does not wait for the body
                self.assertEqual(self.caller.get("/ping").status, 200)
            connection.sendall(body)
            self.assert_connection_remains_open(connection, status)

    def test_a_connection_survives_a_rejected_chunked_body(self) -> None:
        connection = self.connect()
        connection.sendall(b"POST /nope HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.caller.get("/ping")
        connection.sendall((b"1000\r\n" + b"x" * 4096 + b"\r\n") * 9 + b"0\r\n\r\n")
        self.assert_connection_remains_open(connection, 404)

    def test_a_client_that_expects_100_continue_gets_it(self) -> None:
        connection = self.connect()
        connection.sendall(
            b"POST /nope HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        )
        self.assertRegex(connection.recv(65536), rb"^HTTP/1.1 100 ")
        connection.sendall(b"12345")
        self.assert_connection_remains_open(connection, 404)

    def assert_connection_remains_open(self, connection: socket.socket, status: int) -> None:
        """Assert that a response arrives and the connection stays open."""
        response = http.client.HTTPResponse(connection)
        response.begin()
        self.assertEqual(response.read()[:18], b'{"status":"error",')
        self.assertEqual((response.status, response.will_close), (status, False))
        connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
        following = http.client.HTTPResponse(connection)
        following.begin()
        self.assertEqual((following.status, following.will_close), (200, False))
        following.read()

    def test_clients_that_do_not_close_delay_no_other_client(self) -> None:
        for _ in range(UNCLOSED):
            connection = self.connect()
            connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            self.assertRegex(connection.recv(65536), rb"^HTTP/1.1 200 ")
        began = time.monotonic()
        for _ in range(8):
            self.assertEqual(self.caller.get("/ping").status, 200)
        self.assertLess(time.monotonic() - began, WITHIN)

    def test_the_total_size_and_number_of_header_fields_is_limited(self) -> None:
        for fields in (("X-A: " + "x" * 8000 + "\r\n") * 12, "X-A: x\r\n" * 101):
            connection, response = self.connect(), b""
            with suppress(ConnectionError):  # the server may close before it has read everything
                connection.sendall(f"GET /ping HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
            with suppress(ConnectionError):
                response = connection.recv(65536)
            self.assertRegex(response, rb"^(HTTP/1.1 4|$)")

    def test_a_path_with_extra_slashes_is_not_found(self) -> None:
        for path in ("//ping", "///ping", "//auth/status", "//"):
            self.assertEqual(self.send_head(path), 404, path)
        self.assertEqual(self.send_head("/ping"), 200)

    def test_a_path_without_a_slash_is_not_redirected(self) -> None:
        self.assertIn(self.send_head("ping"), (400, 404))

    def send_head(self, path: str) -> int:
        """Send a GET for this path unchanged; return the status."""
        connection = self.connect()
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status


class TestGranian(ServedCase):
    """granian, the production server."""

    __test__ = True
    kind = "granian"

    def test_a_non_ascii_byte_makes_the_client_unknown(self) -> None:
        chain = f"\xe9, {CLIENT}"  # a proxy appended the client's address to the client's own field
        self.assertEqual(self.recorded_address(("X-Forwarded-For", chain)), UNKNOWN)


class TestGunicorn(ServedCase):
    """gunicorn, which the service also supports."""

    __test__ = True
    kind = "gunicorn"

    def test_a_field_name_with_an_underscore_is_ignored(self) -> None:
        real, look_alike = ("X-Forwarded-For", CLIENT), ("X_Forwarded_For", SPOOFED)
        for fields in ((real, look_alike), (look_alike, real)):
            self.assertEqual(self.recorded_address(*fields), CLIENT)
        self.assertEqual(self.recorded_address(look_alike), "127.0.0.1")
