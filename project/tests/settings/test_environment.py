"""Secrets in files, and misspelt settings."""

import os
import tempfile
from pathlib import Path
from unittest import TestCase, mock

import pytest

from project import config, create_app
from project.commands.doctor import checks
from project.commands.doctor.findings import Level
from project.config import ConfigError
from project.settings import environment
from project.tests.support import databases
from project.tests.support.paths import ROOT

README = (ROOT / "README.md").read_text()
GOOD_SECRET = "f3b1c4d5e6a798071625344352617081"
OTHERS = (
    "PATH", "PORT", "HOME", "LANG", "TZ", "HOST", "HOSTNAME", "TERM", "USER", "SHELL", "EDITOR",
    "DATABASE_HOST", "DATABASE_USER", "DATABASE_NAME", "DATABASE_PORT", "DATABASE_PASSWORD",
    "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS", "PYTHONPATH", "PYTHONUNBUFFERED", "OTEL_SERVICE_NAME",
    "POSTGRES_PASSWORD", "PGPASSWORD", "USERS_DB_PASSWORD", "USERS_TEST_SERVER", "DEVICE_NAME",
    "USERS_SERVICE_HOST", "USERS_SERVICE_PORT", "KUBERNETES_SERVICE_HOST", "SERVER_NAME",
    "SQLALCHEMY_DATABASE_URI", "AWS_SECRET_ACCESS_KEY", "LOGLEVEL", "SESSION_MANAGER",
    "SSL_CERT_FILE", "HTTP_PROXY", "NO_PROXY", "XDG_SESSION_ID", "FLASK_APP", "FLASK_DEBUG",
    "JWT_SECRET_KEY",
)  # fmt: skip


@pytest.mark.any_database
class TestMisspeltSettings(TestCase):
    """Environment variables whose names resemble a setting."""

    def test_the_most_similar_setting_is_found(self) -> None:
        for name, meant in (
            ("TOKEN_EXPIRATION_DAY", "TOKEN_EXPIRATION_DAYS"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("USERS_PUBLC", "USERS_PUBLIC"),
            ("SECERT_KEY", "SECRET_KEY"),
            ("SECRET_KEYS", "SECRET_KEY"),
            ("SECRET_KEY_FALLBACK", "SECRET_KEY_FALLBACKS"),
            ("SECRET_KEY_FLIE", "SECRET_KEY_FILE"),
            ("CORS_ORIGIN", "CORS_ORIGINS"),
            ("APP_SETTING", "APP_SETTINGS"),
            ("users_public", "USERS_PUBLIC"),
            ("THROTLE_ENABLE", "THROTTLE_ENABLED"),
        ):
            self.assertEqual(environment.find_misspelt([name]), {name: meant})

    def test_names_of_settings_and_other_programs_are_not_misspelt(self) -> None:
        self.assertEqual(environment.find_misspelt([*environment.KNOWN_NAMES, *OTHERS]), {})

    def test_the_start_warns_and_the_doctor_reports_an_error(self) -> None:
        with (
            mock.patch.dict("os.environ", TRUSTED_PROXY="10.0.0.1"),
            self.assertLogs("project", "WARNING") as logged,
        ):
            app = databases.bare_app("sqlite:////tmp/never.sqlite")
        self.assertIn(
            "TRUSTED_PROXY is not a setting and is ignored; did you mean TRUSTED_PROXIES",
            logged.output[0],
        )
        with app.app_context():
            found = checks.settings()
        self.assertEqual((found.level, found.remedy), (Level.ERROR, "correct their names"))
        self.assertIn("TRUSTED_PROXY (did you mean TRUSTED_PROXIES?)", found.found)


@pytest.mark.any_database
class TestSecretsInFiles(TestCase):
    """Secrets in files, as Docker and Kubernetes mount them."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = self.folder / "secret"

    def load(self, **values: str) -> dict[str, object]:
        """Load a configuration from this environment alone."""
        return config.load(environment={"INSTANCE_PATH": str(self.folder), **values})

    def error(self, **values: str) -> str:
        """Return the only error of this environment."""
        with self.assertRaises(ConfigError) as caught:
            self.load(**values)
        (error,) = caught.exception.errors
        return error

    def test_every_secret_setting_is_read_from_a_file(self) -> None:
        digest = "ab" * 32
        for name, content, expected in (
            ("SECRET_KEY", GOOD_SECRET, GOOD_SECRET),
            ("SECRET_KEY_FALLBACKS", f"{GOOD_SECRET},x", [GOOD_SECRET, "x"]),
            ("SERVICE_TOKENS", digest, [digest]),
            ("METRICS_TOKEN", digest, [digest]),
        ):
            for end in ("", "\n", "\r\n"):
                self.file.write_bytes(f"{content}{end}".encode())
                self.assertEqual(self.load(**{f"{name}_FILE": str(self.file)})[name], expected)
        self.file.write_text("postgres://u:p@h/x\n")
        url = self.load(DATABASE_URL_FILE=str(self.file))["SQLALCHEMY_DATABASE_URI"]
        self.assertEqual(url.host, "h")  # type: ignore[attr-defined]

    def test_only_one_newline_is_removed(self) -> None:
        self.file.write_text(f" {GOOD_SECRET} \n\n")
        loaded = self.load(SECRET_KEY_FILE=str(self.file))
        self.assertEqual(loaded["SECRET_KEY"], f" {GOOD_SECRET} \n")

    def test_a_value_and_a_file_together_are_rejected(self) -> None:
        self.file.write_text(GOOD_SECRET)
        error = self.error(SECRET_KEY=GOOD_SECRET, SECRET_KEY_FILE=str(self.file))
        self.assertRegex(error, "^SECRET_KEY and SECRET_KEY_FILE are both set")

    def test_an_unreadable_file_is_rejected(self) -> None:
        for content, why in (
            (None, "No such file"),
            (b"", "it is empty"),
            (b"\n", "it is empty"),
            (b"\xff" * 40, "can't decode"),
            (b"x" * 70000, "larger than"),
        ):
            if content is not None:
                self.file.write_bytes(content)
            error = self.error(SECRET_KEY_FILE=str(self.file))
            self.assertRegex(
                error, f"^SECRET_KEY_FILE: cannot read '{self.file}' .*{why}.*: name a"
            )
        self.assertIn("Is a directory", self.error(SECRET_KEY_FILE=str(self.folder)))

    def test_a_pipe_is_rejected_without_waiting(self) -> None:
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        self.assertIn("it is a pipe", self.error(SECRET_KEY_FILE=str(pipe)))

    def test_production_starts_with_secrets_in_files(self) -> None:
        self.file.write_text(GOOD_SECRET)
        url = self.folder / "url"
        url.write_text(f"sqlite:///{self.folder}/users.sqlite\n")
        files = {"SECRET_KEY_FILE": str(self.file), "DATABASE_URL_FILE": str(url)}
        with mock.patch.dict("os.environ", files):
            app = create_app("project.config.ProductionConfig", INSTANCE_PATH=str(self.folder))
            with app.app_context():
                self.assertIn("from SECRET_KEY_FILE", checks.secret().found)

    def test_the_readme_lists_the_settings_that_can_be_files(self) -> None:
        sentence = README.split("Each of `DATABASE_URL`")[1].split("can be read from a file")[0]
        for name in environment.FILE_SETTINGS.values():
            self.assertIn(f"`{name}`", f"`DATABASE_URL`{sentence}")
