"""The log: one event per line, from every source and for every input."""

import errno
import logging
import subprocess
import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import TextIO
from unittest import TestCase

import jwt
import pytest
import time_machine

from project.telemetry import logs
from project.telemetry.logs import JSONFormatter, ReadableFormatter
from project.tests.base import BaseTestCase
from project.tests.support import captured_logs, databases, servers
from project.tests.support.paths import ROOT
from project.tests.utils import OverHTTP

HOSTILE = 'a\n{"level": "INFO"}\r\x1b[31m\x00\x85\u2028\u202e\x9b31m\ud800"'
COMPLETED = "request completed"
REQUEST_ID = "abcd-1234"


class Full(StringIO):
    """A file on a disk that is full."""

    def flush(self) -> None:
        """Fail."""
        raise OSError(errno.ENOSPC, "No space left on device")


def record(message: str, *args: object, **fields: object) -> logging.LogRecord:
    """Return a record as a logger makes it."""
    made = logging.LogRecord("project.x", logging.INFO, __file__, 1, message, args, None)
    vars(made).update(fields)
    return made


@pytest.mark.any_database
class TestFormatters(TestCase):
    """The formatters for JSON and for readable lines."""

    def test_a_json_line_has_the_fields_of_the_record(self) -> None:
        made = record("hello %s", "you", status=200, user_id=None)
        made.created = 1_767_225_600.1239
        self.assertEqual(
            captured_logs.parse(JSONFormatter().format(made)),
            {
                "time": "2026-01-01T00:00:00.123Z",
                "level": "INFO",
                "logger": "project.x",
                "message": "hello you",
                "status": 200,
                "user_id": None,
            },
        )

    def test_a_readable_line_has_the_fields_of_the_record(self) -> None:
        made = record("hello %s", "you", status=200, user_id=None)
        made.created = 0
        line = ReadableFormatter().format(made)
        self.assertEqual(line, "1970-01-01T00:00:00.000Z INFO    project.x hello you status=200")

    def test_line_breaks_and_control_characters_are_escaped(self) -> None:
        for formatter in (JSONFormatter(), ReadableFormatter()):
            line = formatter.format(record("%s", HOSTILE, method=HOSTILE))
            self.assertTrue(line.isprintable(), line)
            self.assertIn("\\u202e", line)

    def test_a_traceback_is_escaped_too(self) -> None:
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            made = record("failed", exc_info=sys.exc_info())
        self.assertIn("ValueError", captured_logs.parse(JSONFormatter().format(made))["exc_info"])
        first, *others = ReadableFormatter().format(made).split("\n")
        self.assertTrue(first.endswith("failed"))
        for line in others:
            self.assertRegex(line, "^    ")
            self.assertTrue(line.isprintable(), line)


class TestAccess(BaseTestCase):
    """The access log: one line for each request."""

    def test_a_request_is_logged(self) -> None:
        user_id = self.add_user()
        token = self.add_token(user_id)
        with captured_logs.captured() as written:
            self.caller.get(f"/users/{user_id}?q=secret", token, **{"X-Request-ID": REQUEST_ID})
        (line,) = written.with_message(COMPLETED)
        self.assertLess(line.pop("duration_ms"), 10_000)
        self.assertRegex(line.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(
            line,
            {
                "level": "INFO",
                "logger": "project.http.access_log",
                "message": COMPLETED,
                "method": "GET",
                "route": "/users/<user_id>",
                "status": 200,
                "user_id": user_id,
                "session_id": jwt.decode(token, options={"verify_signature": False})["sid"],
                "address": "127.0.0.1",
                "request_id": REQUEST_ID,
            },
        )

    def test_an_unknown_path_is_not_logged(self) -> None:
        with captured_logs.captured() as written:
            self.caller.get("/secret")
        (line,) = written.with_message(COMPLETED)
        self.assertEqual((line["route"], line["status"], line["user_id"]), (None, 404, None))
        self.assertNotIn("secret", written.getvalue())

    def test_frequent_requests_are_logged_only_if_they_fail(self) -> None:
        token = self.add_token(self.add_user())
        with captured_logs.captured(level=logging.INFO) as written:
            for path in ("/auth/status", "/auth/forward", "/ping", "/health/live"):
                self.assertEqual(self.caller.get(path, token).status, 200)
            self.assertEqual(written.objects, [])
            self.caller.status("a.b.c")
        self.assertEqual([line["status"] for line in written.with_message(COMPLETED)], [401])

    def test_every_request_is_logged_at_debug(self) -> None:
        with captured_logs.captured() as written:
            self.caller.get("/ping")
        (line,) = written.with_message(COMPLETED)
        self.assertEqual((line["level"], line["route"]), ("DEBUG", "/ping"))

    def test_the_duration_is_measured_by_another_clock(self) -> None:
        with captured_logs.captured() as written, time_machine.travel(0, tick=False):
            self.caller.register()
        self.assertGreater(written.with_message(COMPLETED)[0]["duration_ms"], 0.5)

    def test_an_internal_error_is_logged_with_the_request_id(self) -> None:
        self.add_user()
        lifetime = self.app.config.pop("TOKEN_LIFETIME")
        self.addCleanup(self.app.config.update, TOKEN_LIFETIME=lifetime)
        with captured_logs.captured() as written:
            reply = self.caller.login()
        failed, completed = written.objects
        self.assertEqual((failed["level"], completed["status"]), ("ERROR", 500))
        for line in (failed, completed):
            self.assertEqual(line["request_id"], reply.headers["X-Request-ID"])
        self.assertIn("KeyError", failed["exc_info"])

    def test_an_unwritable_output_fails_no_request(self) -> None:
        self.addCleanup(logs.write_to, sys.stdout)
        closed = StringIO()
        closed.close()
        for output in (Full(), closed, None):
            self.assert_served_in_silence(output)

    def assert_served_in_silence(self, output: TextIO | None) -> None:
        """Assert that a request succeeds and that nothing is printed to standard error."""
        logs.write_to(output)
        with redirect_stderr(StringIO()) as printed:
            self.assertEqual(self.caller.get("/users").status, 401)
        self.assertEqual(printed.getvalue(), "")


@pytest.mark.processes
@pytest.mark.any_database
class TestServers(TestCase):
    """All output of a server in production."""

    def setUp(self) -> None:
        self.settings = servers.environment(
            "",
            APP_SETTINGS="project.config.ProductionConfig",
            DATABASE_URL=databases.new_database(),
            BCRYPT_LOG_ROUNDS="4",
        )

    def test_every_line_of_a_server_is_a_json_object(self) -> None:
        for kind in ("granian", "gunicorn"):
            with self.subTest(kind), servers.started(kind, self.settings) as (url, printed):
                caller = OverHTTP(url)
                caller.get("/users/x")
                caller.register(
                    password="correct horse battery"
                )  # an outage, since the schema is missing
            parsed = [captured_logs.parse(line) for line in printed]
            access = [line for line in parsed if line["message"] == COMPLETED]
            self.assertEqual([line["status"] for line in access], [401, 503], kind)
            server = "_granian" if kind == "granian" else "gunicorn.error"
            self.assertIn(server, {line["logger"] for line in parsed})

    def test_every_line_of_a_migration_is_a_json_object(self) -> None:
        done = subprocess.run(
            [sys.executable, "manage.py", "db", "upgrade"],
            cwd=ROOT,
            env=self.settings,
            capture_output=True,
            text=True,
            check=True,
        )
        *applied, result = done.stdout.splitlines()
        self.assertEqual({captured_logs.parse(line)["logger"] for line in applied}, {"migrations"})
        self.assertIn("is at revision", result)
        self.assertEqual(done.stderr, "")

    def test_a_command_logs_only_warnings_besides_its_result(self) -> None:
        settings = self.settings | {"THROTTLE_ENABLED": "false", "LOG_LEVEL": "DEBUG"}
        done = subprocess.run(
            [sys.executable, "manage.py", "make_service_token"],
            cwd=ROOT,
            env=settings,
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(len(done.stdout.splitlines()), 3)
