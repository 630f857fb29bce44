"""The SQL files in deploy/postgresql, on a real PostgreSQL."""

import os
import subprocess
from pathlib import Path
from typing import ClassVar
from unittest import TestCase

import flask_migrate
import psycopg2
import pytest

from project.extensions import db
from project.tests.support import databases, postgres
from project.tests.support.paths import ROOT
from project.tests.utils import add_user

pytestmark = pytest.mark.processes


SQL = ROOT / "deploy" / "postgresql"
PASSWORD = "0123456789abcdef" * 2
PG_HBA_OF_THE_IMAGE = "local all all trust\nhost all all all scram-sha-256\n"
"""Connections in the container: without a password by the socket, with one over the network."""


@pytest.mark.any_database
class TestRole(TestCase):
    """An installation that used the superuser, after both files were run twice."""

    server: ClassVar[postgres.Server]

    @classmethod
    def setUpClass(cls) -> None:
        """Start a server that requires passwords, with its socket in /tmp; run the files."""
        cls.server = cls.enterClassContext(postgres.running(unix_socket_directories="/tmp"))
        (cls.server.data / "pg_hba.conf").write_text(PG_HBA_OF_THE_IMAGE)
        cls.psql("--command=SELECT pg_reload_conf()")
        cls.psql("--command=CREATE DATABASE users")
        by_socket = f"host=/tmp&port={cls.server.port}"
        with databases.new_app(f"postgresql://postgres@/users?{by_socket}").app_context():
            add_user()
        for name in ("role.sql", "superuser.sql") * 2:
            cls.psql("--file", str(SQL / name))

    def test_the_service_runs_and_migrates_as_the_role(self) -> None:
        app = databases.bare_app(self.url("users"))
        with app.app_context():
            self.assertEqual(add_user("ada", "ada@example.com").id, 2)
            db.session.rollback()  # otherwise the migration waits for the locks of the reads
            flask_migrate.downgrade(revision="-1")
            flask_migrate.upgrade()

    def test_the_role_has_no_other_privileges(self) -> None:
        row = self.psql(
            "--tuples-only", "--no-align", "--command=SELECT rolsuper, rolcreaterole, rolcreatedb,"
            " rolbypassrls, rolreplication FROM pg_roles WHERE rolname = 'users'"
        )  # fmt: skip
        self.assertEqual(row, "f|f|f|f|f\n")

    def test_other_roles_and_passwords_cannot_connect_over_the_network(self) -> None:
        for role, password in (("users", "guessed"), ("postgres", PASSWORD)):
            with self.assertRaisesRegex(psycopg2.OperationalError, "password authentication"):
                psycopg2.connect(self.url(role, password))

    def url(self, role: str, password: str = PASSWORD) -> str:
        """Return the database's URL for a role."""
        return f"postgresql://{role}:{password}@127.0.0.1:{self.server.port}/users"

    @classmethod
    def psql(cls, *options: str) -> str:
        """Run psql as the superuser, by the socket; return its output."""
        program: Path = cls.server.binaries / "psql"
        where = ["--host=/tmp", f"--port={cls.server.port}", "--username=postgres"]
        environment = os.environ | {"USERS_DB_PASSWORD": PASSWORD}
        command = [str(program), "--no-psqlrc", "--quiet", *where, *options]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout
