"""Log lines and audit rows contain no secrets and no injected lines."""

import json
from collections.abc import Iterator
from typing import ClassVar

from sqlalchemy import select

from project.accounts import lifecycle, signing_keys, throttle
from project.accounts.actors import COMMAND
from project.accounts.signing_keys import source
from project.clock import utcnow
from project.extensions import db
from project.models import AuditEvent, SigningKey, User
from project.security import digests
from project.tests.base import BaseTestCase
from project.tests.support import captured_logs, databases
from project.tests.support.bad_input import GOOD, BadInput
from project.tests.utils import PASSWORD, Reply

SERVICE_TOKEN = "the-token-of-another-service"
WRONG = "hunter2 is not the password"
EMAIL = "ada.lovelace@example.com"
LINE = '{"time": "x", "level": "INFO", "logger": "x", "message": "forged"}'
HOSTILE_AGENTS = (
    f"a\r\n{LINE}\r\n",
    f"\x1b[2J\x1b[31m{LINE}",
    "NUL\x00NUL",
    f'", "message": "forged", "x": "{LINE}',
    "\u2028\u202e\x85\x9b" + "x" * 10_000,
    "%s %d %(message)s {message}",
)


class Secrets(set[str]):
    """Texts that must not appear in any log line or audit row."""

    def add_tokens(self, reply: Reply) -> None:
        """Add the tokens of a response, and their parts."""
        for name in ("auth_token", "refresh_token"):
            token = reply.body[name]
            self.update({token, *token.split(".")[1:]})

    def add_stored(self) -> None:
        """Add the password hashes and private keys in the current app's database."""
        self.update(db.session.scalars(select(User.password)))
        self.update(db.session.scalars(select(SigningKey.private_key)))


class TestLeaks(BaseTestCase):
    """Requests of every kind at level DEBUG; all log lines and audit rows are checked."""

    overrides: ClassVar[dict[str, object]] = {
        "TOKEN_ALGORITHM": "ES256",
        "SERVICE_TOKENS": (digests.sha256(SERVICE_TOKEN),),
    }

    def setUp(self) -> None:
        super().setUp()
        self.written = self.enterContext(captured_logs.captured())
        self.secrets = Secrets({PASSWORD, WRONG, EMAIL, SERVICE_TOKEN, databases.SECRET_KEY})
        self.secrets.add(digests.sha256(SERVICE_TOKEN))

    def rows(self) -> list[str]:
        """Return every row of the audit log as text."""
        with self.app.app_context():
            self.secrets.add_stored()
            rows = db.session.execute(select(AuditEvent.__table__)).all()
            return [json.dumps(tuple(row), default=str, ensure_ascii=False) for row in rows]

    def assert_nothing_leaked(self) -> None:
        """Assert that every line and every row is complete and contains no secret."""
        rows, logged = self.rows(), self.written.getvalue()
        self.assertGreater(len(self.written.objects), len(rows))
        self.assertEqual(self.written.with_message("forged"), [])
        for text in (logged, json.dumps(self.written.objects, ensure_ascii=False), *rows):
            for secret in self.secrets:
                self.assertNotIn(secret, text)
            self.assertNotIn("$2b$", text)

    def test_all_kinds_of_requests_leak_nothing(self) -> None:
        first = self.caller.register("ada", EMAIL, PASSWORD)
        self.secrets.add_tokens(first)
        for email, password in ((EMAIL, WRONG), (WRONG, PASSWORD), (EMAIL, PASSWORD)):
            reply = self.caller.login(email, password)
        self.secrets.add_tokens(reply)
        self.introspect(reply.body["auth_token"])
        self.refresh_until_reused(first.body["refresh_token"])
        for path in ("/auth/status", "/auth/sessions", "/auth/forward", f"/users/{WRONG}"):
            self.caller.get(f"{path}?token={reply.body['auth_token']}", reply.body["auth_token"])
        self.caller.status(f"{reply.body['auth_token']}x")
        self.caller.logout(reply.body["auth_token"])
        self.run_commands()
        self.assert_nothing_leaked()
        messages = {line["message"] for line in self.written.objects}
        self.assertLessEqual({"login.failed", "refresh_token.reused", "user.deleted"}, messages)

    def introspect(self, token: str) -> None:
        """Introspect a token with a valid service token, with a wrong one and without one."""
        for service_token in (SERVICE_TOKEN, WRONG, None):
            self.caller.post("/auth/introspect", {"token": token}, service_token)
            self.caller.get("/auth/revocations", service_token)

    def refresh_until_reused(self, stale: str) -> None:
        """Refresh twice, then reuse the first token."""
        token = stale
        for _ in range(2):
            reply = self.caller.post("/auth/refresh", {"refresh_token": token})
            self.secrets.add_tokens(reply)
            token = reply.body["refresh_token"]
        self.caller.post("/auth/refresh", {"refresh_token": stale})

    def run_commands(self) -> None:
        """Run the operations of the commands."""
        with self.app.app_context():
            made = source.current().rotate(utcnow(), COMMAND)
            self.secrets.add_stored()
            signing_keys.retire(str(made))
            throttle.clear(EMAIL)
            lifecycle.deactivate(EMAIL)
            lifecycle.remove(EMAIL)

    def test_throttled_guesses_leak_nothing(self) -> None:
        self.caller.register("ada", EMAIL, PASSWORD)
        replies = [self.caller.login(EMAIL, f"{WRONG} {guess}").status for guess in range(7)]
        self.assertEqual(replies[-1], 429)
        self.assertEqual(len(self.written.with_message("attempt.throttled")), 1)
        self.assert_nothing_leaked()

    def test_hostile_header_fields_inject_nothing(self) -> None:
        self.caller.register("ada", EMAIL, PASSWORD)
        for hostile in HOSTILE_AGENTS:
            fields = ("HTTP_USER_AGENT", "HTTP_X_REQUEST_ID", "HTTP_X_FORWARDED_FOR")
            environ = dict.fromkeys(fields, hostile) | {"REMOTE_ADDR": hostile}
            payload = {"email": EMAIL, "password": PASSWORD}
            response = self.app.test_client().post(
                "/auth/login", json=payload, environ_overrides=environ
            )
            self.assertEqual(response.status_code, 200)
        self.assert_nothing_leaked()
        for row in self.rows():
            self.assertTrue(row.isprintable(), row)

    def test_hostile_methods_and_paths_inject_nothing(self) -> None:
        for method, path in self.hostile_requests():
            self.app.test_client().open(path, method=method)
        self.assertEqual(len(self.written.objects), 3 * len(HOSTILE_AGENTS))
        self.assertEqual(self.written.with_message("forged"), [])

    def hostile_requests(self) -> Iterator[tuple[str, str]]:
        """Yield methods and paths that contain line breaks and log lines."""
        for hostile in HOSTILE_AGENTS:
            yield hostile, "/ping"
            yield "GET", f"/{hostile}"
            yield "GET", f"/users/{hostile}"


class TestBadInputLeaks(BadInput):
    """Rejected bodies, no part of which may appear in the log."""

    __test__ = True

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(self.assert_nothing_leaked, self.enterContext(captured_logs.captured()))

    def assert_nothing_leaked(self, written: captured_logs.CapturedLines) -> None:
        """Assert that every line is an object and contains no input."""
        logged = written.getvalue()
        self.assertTrue(written.objects)
        for sent in (PASSWORD, f'"{GOOD["password"]}"', GOOD["email"], "@b.c", "OR 1=1", "secret"):
            self.assertNotIn(sent, logged)
