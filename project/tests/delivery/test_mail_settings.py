"""The settings of mail and their validation."""

import os
import tempfile
from pathlib import Path
from typing import Any
from unittest import TestCase

import pytest

from project import config
from project.config import ConfigError
from project.settings import mail_parsers
from project.tests.support import databases

PRODUCTION = {
    "APP_SETTINGS": "project.config.ProductionConfig",
    "DATABASE_URL": "postgresql://u:p@127.0.0.1:1/x",
    "SECRET_KEY": "f3b1c4d5e6a798071625344352617081",
}
SET = {
    "MAIL_URL": "smtps://ada:hunter2@mail.members.net",
    "MAIL_FROM": "Members <no-reply@members.net>",
    "FRONTEND_URL": "https://app.members.net/",
}


@pytest.mark.any_database
class TestMailSettings(TestCase):
    """Read from the environment, as at a start."""

    def load(self, **environment: str) -> dict[str, Any]:
        """Return the configuration of production with these settings."""
        instance = {"INSTANCE_PATH": str(databases.folder())}
        return config.load(environment=PRODUCTION | instance | environment)

    def faults(self, **environment: str) -> str:
        """Return what a start is refused for."""
        with self.assertRaises(ConfigError) as raised:
            self.load(**environment)
        self.assertNotIn("hunter2", str(raised.exception))
        return str(raised.exception)

    def test_production_has_no_mail_by_default(self) -> None:
        self.assertTrue(self.load()["MAIL_URL"].is_off)

    def test_development_writes_mail_to_the_folder(self) -> None:
        loaded = config.load("project.config.DevelopmentConfig", environment={})
        self.assertEqual(str(loaded["MAIL_URL"]), "folder:")

    def test_a_complete_configuration_is_parsed(self) -> None:
        loaded = self.load(**SET)
        url = loaded["MAIL_URL"]
        self.assertEqual((url.host, url.port, url.user), ("mail.members.net", 465, "ada"))
        self.assertEqual(url.password, "hunter2")
        self.assertNotIn("hunter2", f"{url} {url!r}")
        self.assertEqual(str(loaded["MAIL_FROM"]), "Members <no-reply@members.net>")
        self.assertEqual(loaded["FRONTEND_URL"], "https://app.members.net")

    def test_an_invalid_url_is_rejected(self) -> None:
        for url in (
            "mail.members.net", "http://mail.members.net", "smtp://", "smtps://a:hunter2@h:x",
            "smtps://a:hunter2@[h", "smtps://a:hunter2@h/x", "smtps://a:hunter2@h?x", "folder:/x",
            "smtps://a:hunter2ü@h",
        ):  # fmt: skip
            with self.subTest(url):
                self.assertRegex(self.faults(**SET | {"MAIL_URL": url}), "^MAIL_URL ")

    def test_each_invalid_setting_is_reported_with_its_remedy(self) -> None:
        for name, value in (
            ("MAIL_FROM", ""), ("MAIL_FROM", "nobody"), ("MAIL_FROM", "a@b.net\nBcc: c@d.net"),
            ("FRONTEND_URL", ""), ("FRONTEND_URL", "http://app.members.net"),
            ("FRONTEND_URL", "app.members.net"), ("MAIL_REPLY_TO", "nobody"),
            ("MAIL_HELO", "a b"), ("MAIL_TEMPLATES", "/nowhere"), ("DEFAULT_LANGUAGE", "../x"),
            ("MAIL_PASSWORD_FILE", "/nowhere"), ("MAIL_DELIVERY", "nobody"),
            ("MAIL_ONLY_TO", "a b"), ("MAIL_URL", "smtp+plain://mail.members.net"),
        ):  # fmt: skip
            with self.subTest(name, value=value):
                self.assertRegex(self.faults(**SET | {name: value}), f"^{name} [^\n]+[.]$")

    def test_a_server_on_the_loopback_interface_needs_no_tls(self) -> None:
        for host in ("localhost", "127.0.0.1", "[::1]"):
            loaded = self.load(**SET | {"MAIL_URL": f"smtp+plain://{host}:2525"})
            self.assertTrue(loaded["MAIL_URL"].is_smtp, host)

    def test_the_password_can_be_read_from_a_file(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "password").write_text("s3cret\n")
        loaded = self.load(**SET | {"MAIL_PASSWORD_FILE": str(folder / "password")})
        self.assertEqual(mail_parsers.smtp_password(loaded), "s3cret")
        (folder / "password").write_bytes("schön".encode())
        fault = self.faults(**SET | {"MAIL_PASSWORD_FILE": str(folder / "password")})
        self.assertIn("not ASCII", fault)

    def test_without_mail_no_setting_is_required(self) -> None:
        self.assertEqual(mail_parsers.check(self.load(MAIL_TEMPLATES="/nowhere")), {})
        self.assertNotIn("MAIL_URL", os.environ)

    def test_a_required_verification_requires_mail(self) -> None:
        fault = self.faults(EMAIL_VERIFICATION="required")
        self.assertRegex(fault, "^EMAIL_VERIFICATION is required, .*: set MAIL_URL, or")
        self.load(**SET, EMAIL_VERIFICATION="required")
