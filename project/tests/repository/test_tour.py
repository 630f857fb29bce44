"""The tour of the README, pasted into a shell."""

import re
import shutil
import subprocess
import tempfile
from unittest import TestCase

import pytest

from project.tests.support import databases, servers
from project.tests.support.paths import ROOT

TOUR = (ROOT / "README.md").read_text().split("## A tour with curl")[1].split("\n## ")[0]
URL = "http://127.0.0.1:5000"


@pytest.mark.any_database
@pytest.mark.processes
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
class TestTour(TestCase):
    """Against a server in development, which writes mail to its instance folder."""

    def test_every_command_does_what_the_text_says(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        database = databases.new_database()
        databases.new_app(database)
        settings = {
            "APP_SETTINGS": "project.config.DevelopmentConfig",
            "DATABASE_URL": database,
            "INSTANCE_PATH": folder,
            "DRAIN_SECONDS": "0",
        }
        with servers.running("granian", database, **settings) as url:
            script = "".join(re.findall(r"```sh\n(.*?)```", TOUR, re.DOTALL))
            self.assertIn(URL, script)
            shell = subprocess.run(
                ["bash"], input=script.replace(URL, url), capture_output=True, text=True, check=True
            )
        registered, verified, status, _, _, ended, reset = shell.stdout.splitlines()
        self.assertIn('"message":"Successfully registered."', registered)
        self.assertIn('"email_verified":true', verified)
        self.assertIn('"email_verified":true', status)
        self.assertIn('"code":"session_ended"', ended)
        self.assertIn('"message":"Password changed. Please log in."', reset)
        self.assertEqual(shell.stderr, "")
