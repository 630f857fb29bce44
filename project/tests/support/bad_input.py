"""Invalid requests, sent in process and to real servers: never a 5xx, nothing half-written."""

import gzip
import json
from typing import Any

from project.models import Session, User
from project.tests.base import BaseTestCase
from project.tests.utils import PASSWORD, Reply

GOOD = {"username": "justatest", "email": "test@test.com", "password": "123456"}
ROUTES = ("/auth/register", "/auth/login")
JSON = "application/json"


class BadInput(BaseTestCase):
    """Requests that the service rejects, and some that it just accepts."""

    __test__ = False

    def send(self, path: str, body: bytes, content_type: str = JSON, **headers: str) -> Reply:
        """Send a body unchanged."""
        return self.caller.send("POST", path, body, {"Content-Type": content_type} | headers)

    def assert_nothing_written(self) -> None:
        """Assert that the database is empty."""
        self.assertEqual((self.count(User), self.count(Session)), (0, 0))

    def test_invalid_json_is_rejected(self) -> None:
        for path in ROUTES:
            for body in (
                b"not json", b"{", b'{"username"', b"\xff\xfe", b"\x00", b"[" * 10_000,
                b'{"a":' * 3000, b"NaN", b'{"email": NaN}', b'{"email": Infinity}', b"{}x",
                b"\xef\xbb\xbf{}", json.dumps(GOOD).encode("utf-16"), b"'a'", b"\x80abc",
                b'{"email": "a@b.c", "email": "d@e.f"}', b"1" * 5000 + b"x",
            ):  # fmt: skip
                with self.subTest(path=path, body=body[:40]):
                    self.assert_field_errors(self.send(path, body), ("", "not_json"))
        self.assert_nothing_written()

    def test_json_other_than_an_object_is_rejected(self) -> None:
        for path in ROUTES:
            for body in (b"[]", b"null", b"1", b'"x"', b"true", b"[{}]", b"1.5e400", b"1" * 4000):
                with self.subTest(path=path, body=body[:40]):
                    self.assert_field_errors(self.send(path, body), ("", "wrong_type"))

    def test_fields_of_a_wrong_type_are_rejected(self) -> None:
        wrong: tuple[Any, ...] = (1, 1.5, True, None, [], {}, ["a@b.c"], {"a": 1}, 10**400)
        for path, fields in (("/auth/register", GOOD), ("/auth/login", ["email", "password"])):
            for field in fields:
                for value in wrong:
                    with self.subTest(path=path, field=field, value=str(value)[:40]):
                        reply = self.send(path, json.dumps(GOOD | {field: value}).encode())
                        self.assert_field_errors(reply, (field, "wrong_type"))
        self.assert_nothing_written()

    def test_text_that_databases_cannot_store_is_rejected(self) -> None:
        for path, fields in (("/auth/register", GOOD), ("/auth/login", ["email", "password"])):
            for field in fields:
                for text in ("a\0b", "\ud800", "\udfffx"):
                    with self.subTest(path=path, field=field, text=repr(text)):
                        reply = self.send(path, json.dumps(GOOD | {field: text}).encode())
                        self.assert_field_errors(reply, (field, "invalid_text"))

    def test_invalid_usernames_are_rejected(self) -> None:
        for username, code in (
            ("", "too_short"),
            ("x" * 129, "too_long"),
            (" a", "surrounding_whitespace"),
            ("a\u00a0", "surrounding_whitespace"),
            ("\u2003", "surrounding_whitespace"),
            ("a\tb", "invisible_character"),
            ("a\nb", "invisible_character"),
            ("a\u202eb", "invisible_character"),
            ("a\u200bb", "invisible_character"),
            ("\ufeffa", "invisible_character"),
            ("\ue000", "invisible_character"),
            ("\u0378", "invisible_character"),
            ("\U000e0041", "invisible_character"),
        ):
            with self.subTest(repr(username)):
                reply = self.send(
                    "/auth/register", json.dumps(GOOD | {"username": username}).encode()
                )
                self.assert_field_errors(reply, ("username", code))
        self.assert_nothing_written()

    def test_invalid_emails_are_rejected(self) -> None:
        for email, code in (
            ("", "too_short"),
            ("x" * 251 + "@b.c", "too_long"),
            (" a@b.c", "not_an_email"),
            ("a@b.c ", "not_an_email"),
            ("a@b.c\n", "not_an_email"),
            ("a", "not_an_email"),
            ("@b.c", "not_an_email"),
            ("a@", "not_an_email"),
            ("a@b..c", "not_an_email"),
            ("a@b@c", "not_an_email"),
            ("Name <a@b.c>", "not_an_email"),
            ("a\u202e@b.c", "not_an_email"),
            ("a\r\nBcc: x@y.z@b.c", "not_an_email"),
        ):
            with self.subTest(repr(email)):
                reply = self.send("/auth/register", json.dumps(GOOD | {"email": email}).encode())
                self.assert_field_errors(reply, ("email", code))
        self.assert_nothing_written()

    def test_unusual_names_and_addresses_are_accepted(self) -> None:
        for number, (username, email) in enumerate(
            (
                ("x", "a@host"),
                ("y" * 128, "test@test.com2"),
                ("a b", "a@localhost"),
                ("名前", "a@intranet.local"),
                ("\u0645\u062d\u0645\u062f", "ünïcödé@bücher.example"),
                ("\ufdfa" * 128, "a" * 242 + "@example.com"),
                ("\u3316" * 128, "\u3316" * 70 + "@example.com"),
                ("e\u0301", "a+b@c.test"),
                ("'; DROP TABLE users; --", "o'brien@example.com"),
            )
        ):
            with self.subTest(email):
                payload = {"username": username, "email": email, "password": str(number)}
                reply = self.caller.post("/auth/register", payload)
                self.assert_success(reply, 201, "Successfully registered.")
                data = self.caller.status(reply.body["auth_token"]).body["data"]
                self.assertEqual((data["username"], data["email"]), (username, email))
                self.assertEqual(self.caller.login(email, str(number)).status, 200)

    def test_passwords_of_invalid_length_are_rejected(self) -> None:
        for password, code in (("", "too_short"), ("x" * 1001, "too_long")):
            reply = self.caller.register(password=password)
            self.assert_field_errors(reply, ("password", code))
        self.assert_nothing_written()

    def test_credentials_may_be_any_text(self) -> None:
        self.add_user()
        for email, password in (
            ("", ""), ("x", "y"), ("michael@example.com", ""), ("a@b.c", "x" * 15_000),
            ("x" * 15_000, PASSWORD), ("a\u202eb", "\u202e"), ("\U0001f600" * 1000, PASSWORD),
            ("'; --", "' OR 1=1"), ("%", "%"), ("michael@example.com", PASSWORD + "\u200b"),
        ):  # fmt: skip
            with self.subTest(email=email[:30], password=password[:30]):
                reply = self.caller.login(email, password)
                self.assert_error(reply, 404, "User does not exist.", "invalid_credentials")

    def test_a_field_more_is_let_be(self) -> None:
        reply = self.caller.post("/auth/register", GOOD | {"admin": True, "active": False, "id": 7})
        data = self.caller.status(reply.body["auth_token"]).body["data"]
        self.assertEqual((data["admin"], data["active"]), (False, True))

    def test_messages_name_accepted_values(self) -> None:
        token = self.caller.register("a", "a@example.com").body["auth_token"]
        for path, payload, message in (
            ("/auth/logout", {"scope": "x"}, "This must be one of 'local', 'others' or 'all'."),
            (
                "/auth/login",
                {"email": "\0", "password": "x"},
                "This contains a NUL or an unpaired surrogate.",
            ),
        ):
            (error,) = self.caller.post(path, payload, token).body["errors"]
            self.assertEqual(error["message"], message)

    def test_responses_do_not_repeat_the_input(self) -> None:
        payload = {"username": "\u202esecret-name", "email": "secret-email", "password": "\0secret"}
        reply = self.caller.post("/auth/register", payload)
        self.assertEqual(reply.status, 400)
        self.assertNotIn(b"secret", reply.raw)

    def test_a_body_above_the_limit_is_rejected(self) -> None:
        for size in (16 * 1024 + 1, 1024 * 1024, 2_000_000):
            for path in ROUTES:
                reply = self.send(path, b'{"email": "' + b"x" * size)
                self.assert_error(reply, 413, "Payload too large.", "payload_too_large")

    def test_a_body_at_the_limit_is_accepted(self) -> None:
        payload = json.dumps(GOOD).encode()
        reply = self.send("/auth/register", payload + b" " * (16 * 1024 - len(payload)))
        self.assertEqual(reply.status, 201)

    def test_json_of_another_content_type_is_rejected(self) -> None:
        payload = json.dumps(GOOD).encode()
        for content_type in (
            "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
            "application/jsonp", "application/ld+json", "json", "*/*", ";", "application/json5",
        ):  # fmt: skip
            with self.subTest(content_type):
                reply = self.send("/auth/register", payload, content_type)
                self.assertEqual(
                    (reply.status, reply.body["code"]), (415, "unsupported_media_type")
                )
        self.assert_nothing_written()

    def test_json_with_a_charset_is_accepted(self) -> None:
        payload = json.dumps(GOOD).encode()
        reply = self.send("/auth/register", payload, "Application/JSON; charset=utf-8")
        self.assertEqual(reply.status, 201)

    def test_a_compressed_body_is_rejected(self) -> None:
        payload = gzip.compress(json.dumps(GOOD).encode())
        reply = self.caller.send(
            "POST", "/auth/register", payload, {"Content-Type": JSON, "Content-Encoding": "gzip"}
        )
        self.assertEqual((reply.status, reply.body["code"]), (415, "unsupported_media_type"))

    def test_unknown_paths_and_methods_are_errors_in_the_envelope(self) -> None:
        for method, path, status, code in (
            ("GET", "/", 404, "not_found"),
            ("GET", "/nope", 404, "not_found"),
            ("GET", "/users/", 404, "not_found"),
            ("GET", "/auth//status", 404, "not_found"),
            ("GET", "/auth/status/", 404, "not_found"),
            ("GET", "/%00", 404, "not_found"),
            ("GET", "/%ff", 404, "not_found"),
            ("GET", "/auth/%2e%2e/ping", 404, "not_found"),
            ("GET", "/docs/../manage.py", 404, "not_found"),
            ("GET", "/docs/%2e%2e%2fsystem.py", 404, "not_found"),
            ("GET", "/docs/system.py", 404, "not_found"),
            ("GET", "/static/x", 404, "not_found"),
            ("GET", "/" + "x" * 5000, 404, "not_found"),
            ("GET", "/auth/register", 405, "method_not_allowed"),
            ("POST", "/auth/status", 405, "method_not_allowed"),
            ("DELETE", "/users/1", 405, "method_not_allowed"),
            ("PATCH", "/ping", 405, "method_not_allowed"),
            ("TRACE", "/ping", 405, "method_not_allowed"),
            ("BREW", "/ping", 405, "method_not_allowed"),
        ):
            with self.subTest(f"{method} {path[:40]}"):
                reply = self.caller.call(method, path)
                self.assertEqual((reply.status, reply.body["code"]), (status, code))
                self.assertEqual(reply.body["status"], "error")
                self.assertEqual(reply.headers["Content-Type"], JSON)
                self.assertEqual("Allow" in reply.headers, status == 405)

    def test_options_lists_the_methods(self) -> None:
        reply = self.caller.call("OPTIONS", "/users")
        self.assert_success(reply, 200, "Allowed methods: GET, HEAD, OPTIONS, POST.")

    def test_malformed_headers_are_client_errors(self) -> None:
        for headers in (
            {"Authorization": "Bearer \xff\xfe"}, {"Authorization": "Bearer " + "x" * 15_000},
            {"X-Request-ID": "a b\tc"}, {"X-Request-ID": "x" * 65}, {"X-Request-ID": "\xe9" * 9},
            {"Origin": "null"}, {"Origin": "http://[::"}, {"Accept": "text/html"},
            {"Host": "x y"}, {"SCRIPT_NAME": "x"}, {"SCRIPT_NAME": "/auth"}, {"PATH_INFO": "/x"},
            {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "off"},
            {"X-Forwarded-For": "\xff,,:"}, {"Cookie": "\xff=;;"},
        ):  # fmt: skip
            with self.subTest(str(headers)[:40]):
                reply = self.caller.send("GET", "/auth/status", None, headers)
                self.assertIn(reply.status, (400, 401))
                self.assertEqual(reply.headers["Content-Type"], JSON)

    def test_a_well_formed_request_id_is_returned(self) -> None:
        for sent, kept in (
            ("abcd-1234", True),
            ("x" * 64, True),
            ("short", False),
            ("a_b c!d&e", False),
        ):
            reply = self.caller.send("GET", "/ping", None, {"X-Request-ID": sent})
            self.assertEqual(reply.headers["X-Request-ID"] == sent, kept, sent)
