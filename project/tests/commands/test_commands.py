"""Commands of manage.py, with their exit codes and output."""

import os
import pty
import re
import select as polling
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path
from unittest import TestCase, mock

import pytest
from sqlalchemy import select, text

from project.commands import console
from project.extensions import bcrypt, db
from project.models import User
from project.security import digests
from project.serving import server
from project.tests import run
from project.tests.base import BaseTestCase
from project.tests.support import databases, servers
from project.tests.support.commands import PRODUCTION, manage, manage_in_child
from project.tests.support.paths import ROOT
from project.tests.utils import InProcess, OverHTTP

HEAD = max(file.name[:4] for file in (ROOT / "migrations" / "versions").glob("0*.py"))
ENDLESS = """
import os, signal, subprocess, tempfile

def test_without_end():
    pipe = os.open(os.environ["REPORT_TO"], os.O_WRONLY)
    server = subprocess.Popen(["sleep", "300"], start_new_session=True, pass_fds=[pipe])
    with tempfile.NamedTemporaryFile() as file:
        os.write(pipe, f"{file.name} {server.pid}".encode())
        signal.pause()
"""
"""A test that has started a server and never ends."""

DATABASE_OPTION = """
def pytest_addoption(parser):
    parser.addoption("--database")
"""
"""The option that the runner passes."""

IMPATIENT_RUNNER = """
import sys
from project.tests import run

run.SHUTDOWN_GRACE = 0.1
sys.exit(run.main())
"""
"""The runner, which ends a test that never ends sooner than usual."""


@pytest.mark.slow
class TestDatabaseCommands(BaseTestCase):
    """Commands that work on a database, which is empty when they begin."""

    def setUp(self) -> None:
        self.url = databases.new_database()
        self.app = databases.bare_app(self.url)
        with self.app.app_context():
            self.database = console.database_name()
        self.shown = re.escape(self.database)

    def manage(self, *arguments: str, typed: str = "", **settings: str) -> str:
        """Run a command that succeeds; return its output."""
        done = manage(
            *arguments, typed=typed, environment=servers.environment(self.url, **settings)
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def manage_failing(self, *arguments: str, typed: str = "", **settings: str) -> str:
        """Run a command that fails; return its one line of error."""
        done = manage(
            *arguments, typed=typed, environment=servers.environment(self.url, **settings)
        )
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        (line,) = done.stderr.splitlines()
        return line

    def users(self) -> list[tuple[str, str, bool]]:
        """Return the users' names, addresses and whether they are administrators."""
        with self.app.app_context():
            rows = db.session.execute(select(User.username, User.email, User.admin))
            return [(row.username, row.email, row.admin) for row in rows]

    def test_recreate_db_builds_the_schema_and_drops_what_there_was(self) -> None:
        self.assertIn("created the schema", self.manage("recreate_db"))
        self.add_user()
        with self.app.app_context():
            db.session.execute(text("CREATE TABLE of_another_branch (id INTEGER)"))
            db.session.commit()
        tables = len(db.metadata.tables) + 1  # and alembic_version
        self.assertIn(f"Dropped {tables + 1} tables", self.manage("recreate_db"))
        self.assertEqual(self.users(), [])
        self.assertIn(f"Dropped {tables} tables", self.manage("recreate_db"))

    def test_seed_db_twice_changes_nothing(self) -> None:
        self.manage("recreate_db")
        self.assertIn("Created michael ", self.manage("seed_db"))
        self.assertRegex(self.manage("seed_db"), "Skipped michael .*: already exists")
        self.assertEqual(
            self.users(),
            [
                ("michael", "michael@example.com", False),
                ("michaelherman", "michaelherman@example.com", False),
            ],
        )
        with self.app.app_context():
            hashes = db.session.scalars(select(User.password))
            self.assertTrue(all(bcrypt.check_password_hash(kept, "test") for kept in hashes))

    def test_seed_db_without_a_schema_says_what_is_missing(self) -> None:
        self.assertRegex(self.manage_failing("seed_db"), r"^error: .*users.*db upgrade")

    def test_production_requires_yes(self) -> None:
        production = {**PRODUCTION, "DATABASE_URL": self.url}
        for command in ("recreate_db", "seed_db"):
            line = self.manage_failing(command, **production)
            self.assertRegex(line, rf"^error: {command} .*{self.shown}.* ProductionConfig.* --yes")
        self.manage("recreate_db", "--yes", **production)
        self.manage("seed_db", "--yes", **production, PASSWORD_POLICY="false")
        self.assertEqual(len(self.users()), 2)

    def test_the_password_policy_holds_for_commands(self) -> None:
        self.manage("db", "upgrade")
        line = self.manage_failing("seed_db", PASSWORD_POLICY="true")
        self.assertRegex(line, "^error: no user was created: PASSWORD_POLICY is on. .*at least 8")
        admin = ("create_admin", "root", "root@example.com")
        line = self.manage_failing(*admin, typed="Root2024!\n", PASSWORD_POLICY="true")
        self.assertRegex(
            line, "^error: no administrator was created. password: This password is too similar"
        )
        self.assertEqual(self.users(), [])
        self.manage(*admin, typed="correct horse\n", PASSWORD_POLICY="true")

    def test_create_admin_reads_the_password_from_standard_input(self) -> None:
        self.manage("db", "upgrade")
        said = self.manage("create_admin", "root", "root@example.com", typed="a password\n")
        self.assertRegex(
            said, rf"^Created administrator root <root@example.com> in {self.shown}\.\n$"
        )
        self.assertEqual(self.users(), [("root", "root@example.com", True)])
        self.caller = InProcess(self.app.test_client())
        self.assertEqual(self.caller.login("root@example.com", "a password").status, 200)

    def test_create_admin_says_why_not(self) -> None:
        self.manage("db", "upgrade")
        self.manage("seed_db")
        for arguments, typed, why in (
            (("root", "michael@example.com"), "x\n", "That email already exists"),
            (("Michael", "root@example.com"), "x\n", "That user already exists"),
            (("root", "root"), "x\n", "email: This is not an e-mail address"),
            (("root", "root@example.com"), "", "password: This is too short"),
        ):
            line = self.manage_failing("create_admin", *arguments, typed=typed)
            self.assertRegex(line, f"^error: no administrator was created. .*{why}")
        self.assertEqual(len(self.users()), 2)

    def migrated(self) -> None:
        """Create the schema of this test's database."""
        databases.new_app(self.url)

    def test_deactivate_user_ends_the_sessions_of_the_user(self) -> None:
        self.migrated()
        token = self.add_token(self.add_user())
        output = self.manage("deactivate_user", "Michael@example.com")
        self.assertIn(f"in {self.database}; 1 session ended", output)
        reply = InProcess(self.app.test_client()).status(token)
        self.assertEqual(reply.body["code"], "user_inactive")

    def test_activate_user_allows_logins_but_restores_no_session(self) -> None:
        self.migrated()
        token = self.add_token(self.add_user())
        self.manage("deactivate_user", "michael@example.com")
        self.assertIn("Reactivated", self.manage("activate_user", "Michael@example.com"))
        caller = InProcess(self.app.test_client())
        self.assertEqual(caller.status(token).body["code"], "session_ended")
        self.assertEqual(caller.login().status, 200)

    def test_delete_user_deletes_the_user_and_the_sessions(self) -> None:
        self.migrated()
        self.add_token(self.add_user())
        output = self.manage("delete_user", "Michael@example.com")
        self.assertIn(f"from {self.database}; 1 session ended", output)
        self.assertEqual(InProcess(self.app.test_client()).login().status, 404)

    def test_commands_on_an_unknown_user_fail(self) -> None:
        self.migrated()
        for command in ("deactivate_user", "activate_user", "delete_user"):
            line = self.manage_failing(command, "michael@example.com")
            self.assertEqual(line, "error: User does not exist")

    def test_commands_on_signing_keys_name_the_setting_when_the_secret_signs(self) -> None:
        self.migrated()
        self.assertIn("signed with SECRET_KEY", self.manage("list_keys"))
        self.assertIn("SECRET_KEY_FALLBACKS", self.manage_failing("rotate_keys"))

    def test_keys_are_rotated_and_retired(self) -> None:
        self.migrated()
        with mock.patch.dict(os.environ, TOKEN_ALGORITHM="ES256"):
            self.assertEqual(
                self.manage("list_keys"),
                "There is no active signing key: the next login creates one.\n",
            )
            app = databases.bare_app(self.url, TOKEN_ALGORITHM="ES256")
            app.test_client().get("/.well-known/jwks.json")
            first = self.listed_keys("signs$")
            self.assertRegex(
                self.manage("rotate_keys"),
                "^Created and published .{43} in .*; it signs tokens from .* UTC",
            )
            second = self.listed_keys("published, signs from")
            self.assertIn(f"Retired {first}", self.manage("retire_key", first))
            self.assertEqual(first, self.listed_keys("retired "))
            self.assertEqual(second, self.listed_keys("signs$"))

    def test_key_commands_without_a_matching_key_say_so(self) -> None:
        self.migrated()
        with mock.patch.dict(os.environ, TOKEN_ALGORITHM="ES256"):
            self.assertEqual(
                self.manage("list_keys"),
                "There is no active signing key: the next login creates one.\n",
            )
            self.assertIn("list_keys", self.manage_failing("retire_key", "A" * 43))

    def listed_keys(self, state: str) -> str:
        """Return the id of the one key in this state."""
        listed = self.manage("list_keys")
        (found,) = re.findall(rf"(?m)^(\S{{43}})  ES256  .* UTC  {state}", listed)
        return str(found)

    def test_throttle_lists_and_clears_counters(self) -> None:
        self.migrated()
        self.caller = InProcess(databases.bare_app(self.url).test_client())
        for _ in range(5):
            self.caller.login("ada@example.com", "wrong")
        self.assertRegex(
            self.manage("throttle", "list"),
            r"account-network +5  [0-9a-f]{32} 127.0.0.1  blocked until 20.* UTC\n",
        )
        named = self.manage("throttle", "list", "--name", "ada@example.com")
        self.assertRegex(named, r"2 active counters\.\n$")
        cleared = self.manage("throttle", "clear", "--name", "ada@example.com")
        self.assertIn("Cleared 2 counters for ada@example.com in ", cleared)
        self.assertIn("Cleared 2 counters in ", self.manage("throttle", "clear"))
        self.assertEqual(self.manage("throttle", "list"), "0 active counters.\n")
        self.assertIn("must be list or clear", self.manage_failing("throttle", "lift"))

    def test_db_goes_up_and_down_and_says_so(self) -> None:
        done = manage("db", "upgrade", environment=servers.environment(self.url))
        self.assertRegex(
            done.stdout,
            rf"^.* Applied 0001: .*\n(.* Applied .*\n)*.* Applied {HEAD}: .*\n"
            rf".* is at revision {HEAD}\.\n$",
        )
        self.assertIn(f"{HEAD} (head)", self.manage("db", "current"))
        self.assertIn("No new upgrade operations", self.manage("db", "check"))
        self.assertRegex(self.manage("db", "upgrade"), rf"is at revision {HEAD}\.\n$")
        done = manage("db", "downgrade", "base", environment=servers.environment(self.url))
        self.assertRegex(done.stdout, r"is at revision none\.\n$")
        self.assertIn("Usage: manage.py db upgrade", self.manage("db", "upgrade", "--help"))
        self.assertRegex(self.manage_failing("db", "nonsense"), "^error: No such command")

    def test_db_migrate_writes_what_has_changed_and_nothing_else(self) -> None:
        self.manage("recreate_db")
        copy = Path(self.enterContext(tempfile.TemporaryDirectory())) / "migrations"
        shutil.copytree(ROOT / "migrations", copy)
        before = set(copy.rglob("*.py"))
        migrate = ("db", "migrate", "--directory", str(copy), "--message", "again")
        done = manage(*migrate, environment=servers.environment(self.url))
        self.assertEqual(done.returncode, 0)
        self.assertRegex(
            done.stdout, r"^\S+ INFO +migrations The models and the schema are equal: no .*\.\n$"
        )
        self.assertEqual(set(copy.rglob("*.py")), before)
        with self.app.app_context():
            db.session.execute(text("ALTER TABLE signing_keys DROP COLUMN retired_at"))
            db.session.commit()
        manage(*migrate, environment=servers.environment(self.url))
        (written,) = set(copy.rglob("*.py")) - before
        self.assertIn("'retired_at', sa.DateTime(timezone=True)", written.read_text())
        self.manage("db", "upgrade", "--directory", str(copy))

    def test_a_password_of_the_database_is_never_printed(self) -> None:
        plain = "postgresql://u:hunter2@127.0.0.1:1/x"
        hidden = "postgresql://u@127.0.0.1:1/x?password=hunter2"
        commands = (["db", "upgrade"], ["seed_db"], ["recreate_db"])
        for command, url in product(commands, (plain, hidden)):
            done = manage(*command, environment=servers.environment(url))
            self.assertNotIn("hunter2", done.stdout + done.stderr)
            self.assertRegex(done.stderr, "^error: .*refused")
            self.assertEqual(len(done.stderr.splitlines()), 1)


@pytest.mark.any_database
class TestCommands(TestCase):
    """What starts, or does not."""

    def setUp(self) -> None:
        self.environment = servers.environment(databases.new_database())

    @pytest.mark.processes
    def test_a_bad_configuration_is_told_line_by_line(self) -> None:
        environment = self.environment | {
            "APP_SETTINGS": PRODUCTION["APP_SETTINGS"],
            "SECRET_KEY": "",
        }
        by_gunicorn = subprocess.run(
            servers.command("gunicorn", 1),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        for done in (manage("shell", environment=environment), by_gunicorn):
            self.assertNotEqual(done.returncode, 0)
            printed = done.stderr + done.stdout
            self.assertEqual(printed.count("DATABASE_URL is not set: set it to"), 1)
            self.assertEqual(printed.count("SECRET_KEY is not set: set it to"), 1)
            self.assertNotIn("Traceback", printed)

    def test_an_interrupted_command_ends_as_a_shell_expects(self) -> None:
        for interruption in (KeyboardInterrupt, EOFError):
            manager = mock.Mock(run=mock.Mock(side_effect=interruption))
            with self.assertRaises(SystemExit) as ended:
                console.run(manager)
            self.assertEqual(ended.exception.code, 130)

    def test_a_port_in_use_is_one_line(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            for command in ("serve", "runserver"):
                done = manage(command, "--port", port, environment=self.environment)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(
                    done.stderr,
                    rf"^error: cannot listen on 127\.0\.0\.1:{port} \(Address already in use\)",
                )
                self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_an_address_that_cannot_be(self) -> None:
        for arguments, why in (
            (["serve", "--port", "x"], "whole number"),
            (["serve", "--workers", "0x2"], "whole number"),
            (["serve", "--workers", "0"], "whole number"),
            (["serve", "--port", "9" * 5000], "whole number"),
            (["serve", "--port", "99999"], "whole number"),
            (["serve", "--host", "203.0.113.1"], "cannot listen"),
            (["serve", "--host", "no such host"], "cannot listen"),
        ):
            done = manage(*arguments, environment=self.environment)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr, f"^error: .*{why}")
            self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_serving_an_old_schema_is_warned_of(self) -> None:
        self.assertRegex(
            self.started_serving(self.environment),
            r"WARNING .* not at the latest migration; run: .*db upgrade",
        )

    def test_serving_without_a_database_is_warned_of(self) -> None:
        environment = servers.environment("postgresql://u:p@127.0.0.1:1/x")
        self.assertRegex(self.started_serving(environment), "WARNING .* cannot be reached yet")

    def started_serving(self, environment: dict[str, str]) -> str:
        """Return what `serve` prints until it hands over to the server."""
        with mock.patch.object(server, "serve") as serve:
            done = manage("serve", environment=environment)
        serve.assert_called_once()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    @pytest.mark.processes
    def test_runserver_serves(self) -> None:
        with servers.started("runserver", self.environment) as (url, _):
            answer = OverHTTP(url).get("/ping")
        self.assertEqual(answer.body["message"], "pong!")

    def test_a_service_token_is_made_with_what_is_kept_of_it(self) -> None:
        done = manage("make_service_token", environment=self.environment)
        token, digest = (line.rpartition(" ")[2] for line in done.stdout.splitlines()[:2])
        self.assertEqual(digest, digests.sha256(token))
        self.assertGreaterEqual(len(token), 43)

    @pytest.mark.processes
    def test_shell_knows_the_app(self) -> None:
        done = manage_in_child(
            "shell", typed="print(app.name, db, User.__name__)\n", environment=self.environment
        )
        self.assertEqual(done.returncode, 0)
        self.assertIn("project", done.stdout)

    @pytest.mark.processes
    def test_the_password_is_asked_for_on_a_terminal_and_not_shown(self) -> None:
        databases.new_app(self.environment["DATABASE_TEST_URL"])
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "manage.py", "create_admin", "root", "root@example.com"],
            cwd=ROOT, env=self.environment, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        said = b""
        for question in (b"Password: ", b"Password again: "):
            while not said.endswith(question):
                said += os.read(ours, 1024)
            os.write(ours, b"hidden words\n")
        while b"Created administrator" not in said:
            said += os.read(ours, 1024)
        self.assertEqual(process.wait(30), 0)
        os.close(ours)
        self.assertNotIn(b"hidden", said)

    def test_nothing_typed_lists_every_command(self) -> None:
        done = manage(environment=self.environment)
        self.assertEqual(done.returncode, 2)
        for command in (
            "runserver",
            "shell",
            "test",
            "cov",
            "recreate_db",
            "seed_db",
            "create_admin",
        ):
            self.assertRegex(done.stdout, rf"(?m)^ +{command} +\w")


@pytest.mark.processes
@pytest.mark.any_database
class TestRunner(TestCase):
    """The suite's runner: a run without tests is a failure."""

    def result(self, content: str) -> run.Result:
        """Return what the runner makes of a suite of this content."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "test_it.py").write_text(content)
        report = folder / "report.xml"
        options = ["-c", os.devnull, "-p", "no:cacheprovider", f"--junit-xml={report}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, str(folder)],
            env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            check=False,
        )
        return run.read(report, done.returncode)

    def test_results_are_counted(self) -> None:
        content = "import pytest\ndef test_a(): pass\ndef test_b(): assert 1 > 2\n"
        content += "@pytest.mark.skip\ndef test_c(): pass\n"
        self.assertEqual(self.result(content), run.Result(1, 1, 1))

    def test_subtests_are_counted_apart(self) -> None:
        content = "def test_a(subtests):\n  for n in range(3):\n    with subtests.test(): pass\n"
        content += "def test_b(subtests):\n  for n in range(3):\n    with subtests.test(): 1 / n\n"
        self.assertEqual(self.result(content), run.Result(1, 1, 0, subtests=6))

    def test_a_suite_that_runs_nothing_or_breaks_off_has_failed(self) -> None:
        for content in (
            "",
            "import nonsense\n",
            "import os\ndef test_a(): os._exit(0)\n",
            "import pytest\n@pytest.mark.skip\ndef test_c(): pass\n",
            "import pytest\ndef test_a(): pass\ndef test_b(): pytest.exit('enough', 3)\n",
        ):
            with self.subTest(content):
                self.assertGreaterEqual(self.result(content).failed, 1)

    def test_an_interrupted_run_leaves_no_process_and_no_file(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (folder / "test_it.py").write_text(ENDLESS)
        os.mkfifo(folder / "pipe")
        pipe = os.open(folder / "pipe", os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, pipe)
        runner = self.start_runner(folder)
        self.assertTrue(polling.select([pipe], [], [], 60)[0], "the run does not begin")
        file, process = os.read(pipe, 1024).decode().split()
        runner.send_signal(signal.SIGTERM)
        self.assertEqual(runner.wait(60), 128 + signal.SIGTERM)
        self.assertFalse(Path(file).parent.exists())
        self.assertFalse(Path(f"/proc/{process}").exists())
        # The other end is closed: no process of the run is left that had it open.
        self.assertEqual(os.read(pipe, 1024), b"")

    def start_runner(self, folder: Path) -> subprocess.Popen[bytes]:
        """Run the tests of a folder, as `manage.py test` does, with the plugins that it needs."""
        plugins = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_PLUGINS": "xdist.plugin"}
        (folder / "conftest.py").write_text(DATABASE_OPTION)
        runner = subprocess.Popen(
            [sys.executable, "-c", IMPATIENT_RUNNER, str(folder)],
            cwd=ROOT,
            env={**os.environ, **plugins, "REPORT_TO": str(folder / "pipe")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.addCleanup(runner.kill)
        return runner

    def test_results_add_up_to_the_closing_line(self) -> None:
        total = run.Result(1, 2, 3, 4) + run.Result(10, 20, 30, 40)
        self.assertEqual(str(total), "11 passed, 22 failed, 33 skipped")
        self.assertEqual(total.subtests, 44)
