"""The findings of `manage.py doctor`."""

import json
import os
import re
import shutil
import tempfile
from collections import namedtuple
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import TestCase, mock

import pytest
import time_machine

from project.accounts import signing_keys
from project.accounts.actors import COMMAND
from project.clock import utcnow
from project.commands import doctor
from project.commands.doctor import checks, database_checks
from project.commands.doctor.findings import Finding, Level
from project.extensions import db
from project.security.signing_keys import Algorithm
from project.tests.base import BaseTestCase
from project.tests.support import databases, servers
from project.tests.support.commands import PRODUCTION, manage
from project.tests.support.paths import ROOT

SOUND = PRODUCTION | {
    "BCRYPT_LOG_ROUNDS": "10",
    "CORS_ORIGINS": "https://app.example.com",
    "TRUSTED_PROXIES": "10.0.0.1",
}
NO_MAIL = {"mail": "warning"}
Usage = namedtuple("Usage", ["total", "used", "free"])
DOCUMENTED = re.findall(r"(?m)^\| `(\w+)` \|", (ROOT / "docs" / "operating.md").read_text())


@pytest.mark.processes
class TestDoctor(BaseTestCase):
    """The command, in a process of its own."""

    def setUp(self) -> None:
        self.url = databases.new_database()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def examine(self, expected: Level, url: str | None = None, **settings: str) -> dict[str, Any]:
        """Type the command; return each check's finding."""
        environment = servers.environment(self.url, **settings)
        environment |= {"DATABASE_URL": url or self.url, "INSTANCE_PATH": str(self.folder)}
        done = manage("doctor", "--json", environment=environment)
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, done.stderr), (expected, ""), done.stdout)
        self.assertEqual(report["level"], expected.name.lower())
        for secret in ("hunter2", databases.SECRET_KEY, PRODUCTION["SECRET_KEY"]):
            self.assertNotIn(secret, done.stdout)
        return {finding["check"]: finding for finding in report["findings"]}

    def amiss(self, findings: dict[str, Any]) -> dict[str, str]:
        """Return the levels of the findings that are not ok; each of them has a remedy."""
        found = {name: finding for name, finding in findings.items() if finding["level"] != "ok"}
        self.assertTrue(all(finding["remedy"] for finding in found.values()))
        return {name: finding["level"] for name, finding in found.items()}

    def test_a_sound_installation_is_ok(self) -> None:
        databases.new_app(self.url)
        findings = self.examine(Level.WARNING, **SOUND)
        self.assertEqual(self.amiss(findings), NO_MAIL)
        self.assertEqual(list(findings), list(doctor.CHECKS))
        self.assertRegex(findings["secret"]["found"], "strong, from SECRET_KEY")
        self.assertRegex(findings["password_hash"]["found"], "ms at cost 10: at most .* logins a")

    def test_what_is_doubtful_in_production_is_a_warning(self) -> None:
        databases.new_app(self.url)
        doubtful = PRODUCTION | {"USERS_PUBLIC": "true", "PASSWORD_POLICY": "false"}
        checks_of_settings = (
            "password_hash", "password_policy", "trusted_proxies", "cors_origins", "users_public",
        )  # fmt: skip
        found = self.amiss(self.examine(Level.WARNING, **doubtful))
        self.assertEqual(found, dict.fromkeys(checks_of_settings, "warning") | NO_MAIL)

    def test_a_missing_schema_is_an_error(self) -> None:
        findings = self.examine(Level.ERROR, **SOUND)
        self.assertEqual(self.amiss(findings), {"migrations": "error"} | NO_MAIL)
        self.assertIn("db upgrade", findings["migrations"]["remedy"])

    def test_a_database_that_is_away_is_a_finding(self) -> None:
        away = "postgresql://u:hunter2@127.0.0.1:1/x?password=hunter2"
        findings = self.examine(Level.ERROR, away, **SOUND)
        of_the_database = ("database", "migrations", "clock", "connections", "shared_secret")
        self.assertEqual(self.amiss(findings), dict.fromkeys(of_the_database, "error") | NO_MAIL)
        self.assertIn("refused", findings["database"]["found"])

    def test_a_folder_that_is_away_is_a_finding(self) -> None:
        findings = self.examine(Level.ERROR, f"sqlite:///{self.folder}/none/x.sqlite", **SOUND)
        self.assertIn("No such file", findings["disk_space"]["found"])

    def test_the_report_has_a_line_a_check(self) -> None:
        databases.new_app(self.url)
        environment = servers.environment(self.url, **SOUND, DATABASE_URL=self.url)
        environment["INSTANCE_PATH"] = str(self.folder)
        done = manage("doctor", environment=environment)
        lines = [line.split()[:2] for line in done.stdout.splitlines()]
        expected = [[NO_MAIL.get(name, "ok"), name] for name in doctor.CHECKS]
        self.assertEqual([line for line in lines if line[0] != "->"], expected)


class TestChecks(BaseTestCase):
    """Single checks, on faults that are hard to cause in a whole installation."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(self.app.app_context())
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.set(STRICT=True, INSTANCE_PATH=str(self.folder))

    def set(self, **settings: object) -> None:
        """Change settings for as long as the test lasts."""
        self.enterContext(mock.patch.dict(self.app.config, settings))

    def assert_found(self, finding: Finding, level: Level, what: str) -> None:
        """Assert that a finding has this level and text."""
        self.assertEqual(finding.level, level, finding)
        self.assertRegex(finding.found, what)
        self.assertEqual(bool(finding.remedy), level is not Level.OK)

    def test_a_secret_that_can_be_guessed(self) -> None:
        for weak in ("s3cr-t", "changeme" * 8, "ab" * 32, "0123456789abcdef" * 4):
            self.set(SECRET_KEY=weak)
            self.assert_found(checks.secret(), Level.ERROR, "secret_key, (is|looks|repeats)")
            self.assertNotIn(weak, checks.secret().found)
        self.set(SECRET_KEY=PRODUCTION["SECRET_KEY"], SECRET_KEY_FALLBACKS=["s3cr-t"])
        self.assert_found(checks.secret(), Level.ERROR, "SECRET_KEY_FALLBACKS")

    def test_a_class_of_settings_that_is_not_strict(self) -> None:
        self.set(STRICT=False)
        self.assert_found(checks.settings(), Level.WARNING, "TestingConfig")
        self.assert_found(checks.cors_origins(), Level.OK, r"\*")

    def test_an_instance_folder_that_others_may_enter(self) -> None:
        self.assert_found(checks.instance_folder(), Level.OK, "private to its owner")
        self.folder.chmod(0o750)
        self.assert_found(checks.instance_folder(), Level.WARNING, "mode 750")
        (self.folder / "secret_key").touch(mode=0o644)
        self.assert_found(checks.instance_folder(), Level.ERROR, "secret_key has mode 644")

    def test_a_database_file_that_others_may_read(self) -> None:
        if databases.kind() == "postgresql":
            return self.assert_found(checks.database_file(), Level.OK, "on a server")
        self.assert_found(checks.database_file(), Level.OK, "private to its owner")
        file = Path(str(db.engine.url.database))
        self.addCleanup(file.chmod, 0o600)
        file.chmod(0o640)
        self.assert_found(checks.database_file(), Level.WARNING, str(file))
        return None

    def test_a_disk_that_is_nearly_full(self) -> None:
        if databases.kind() == "postgresql":
            return self.assert_found(checks.disk_space(), Level.OK, "on a server")
        for free, level in ((2**20, Level.ERROR), (2**29, Level.WARNING), (2**31, Level.OK)):
            usage = mock.patch.object(shutil, "disk_usage", return_value=Usage(2**40, 0, free))
            with usage:
                self.assert_found(checks.disk_space(), level, f"{free // 2**20} MiB free")
        return None

    def test_a_clock_that_is_wrong(self) -> None:
        if databases.kind() == "sqlite":
            return self.assert_found(database_checks.clock(), Level.OK, "this machine's")
        self.assert_found(database_checks.clock(), Level.OK, r"^0\.\d+ s")
        for wrong, level in ((5, Level.WARNING), (-60, Level.ERROR)):
            with time_machine.travel(utcnow() + timedelta(seconds=wrong)):
                self.assert_found(database_checks.clock(), level, "s from the database's")
        return None

    def test_more_connections_than_the_server_accepts(self) -> None:
        if databases.kind() == "sqlite":
            return self.assert_found(database_checks.connections(), Level.OK, "no limit")
        for workers, level in (("2", Level.OK), ("nonsense", Level.OK), ("50", Level.WARNING)):
            with mock.patch.dict(os.environ, WEB_CONCURRENCY=workers):
                self.assert_found(database_checks.connections(), level, "workers open up to")
        self.set(SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 100, "max_overflow": 10})
        self.assert_found(database_checks.connections(), Level.WARNING, "up to 440;")
        return None

    def test_after_the_new_key_is_retired_the_old_one_signs(self) -> None:
        self.set(TOKEN_ALGORITHM=Algorithm.ES256)
        old = signing_keys.add(Algorithm.ES256, 1, utcnow(), COMMAND)
        new = signing_keys.add(Algorithm.ES256, 2, utcnow() + timedelta(minutes=10), COMMAND)
        assert new is not None
        for _ in range(2):
            self.assert_found(database_checks.newest_signing_key(), Level.OK, f"ES256: {old} signs")
            signing_keys.retire(new)

    def test_a_slow_database_is_a_warning(self) -> None:
        with mock.patch.object(database_checks, "MAX_ROUND_TRIP", 0):
            self.assert_found(database_checks.database(), Level.WARNING, "responds in")

    def test_a_slow_hash_is_a_warning(self) -> None:
        with mock.patch.object(checks, "MAX_HASH_SECONDS", 0):
            self.assert_found(checks.password_hash(), Level.WARNING, "at cost 4")

    def test_a_signing_key_that_is_old_or_cannot_be_opened(self) -> None:
        self.set(TOKEN_ALGORITHM=Algorithm.ES256)
        self.assert_found(
            database_checks.newest_signing_key(), Level.OK, "next login creates a key"
        )
        self.assertEqual(signing_keys.list_unexpired(), [])
        signing_keys.add(Algorithm.ES256, 1, utcnow(), COMMAND)
        self.assert_found(database_checks.newest_signing_key(), Level.OK, "key is 0 days old")
        with time_machine.travel(utcnow() + timedelta(days=91)):
            self.assert_found(database_checks.newest_signing_key(), Level.WARNING, "is 91 days old")
            self.set(KEY_ROTATION_DAYS=0)
            self.assert_found(database_checks.newest_signing_key(), Level.OK, "is 91 days old")
        self.set(SECRET_KEY="f3b1c4d5e6a798071625344352617081")
        self.assert_found(
            database_checks.newest_signing_key(), Level.WARNING, "cannot be decrypted"
        )


@pytest.mark.any_database
class TestChecksAreTold(TestCase):
    """The page for operators has them all."""

    def test_every_check_is_documented_and_no_other(self) -> None:
        self.assertEqual(DOCUMENTED, list(doctor.CHECKS))
