"""How a command line is parsed: help, version, and what is wrong with it."""

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import Any
from unittest import TestCase, mock

import pytest

import manage
from project.commands import accounts, console, throttle
from project.commands.command_line import CommandLine, Parser
from project.commands.console import CommandFailed
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.version import VERSION

COMMANDS = sorted(set(manage.manager._commands) - {"db"})


@pytest.mark.any_database
class TestCommandLine(TestCase):
    """Parsed without an app."""

    def typed(self, *words: str) -> tuple[int, str, str]:
        """Return the exit code, and what was printed to standard output and error."""
        with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
            try:
                code = manage.manager.handle("manage.py", words)
            except SystemExit as ended:
                code = ended.code
        return code, out.getvalue(), err.getvalue()

    def parsed(self, name: str, *words: str) -> dict[str, Any]:
        """Return the arguments of a command."""
        return Parser(name, manage.manager._commands[name]).parse(words)

    def assert_usage_error(self, message: str, *words: str) -> None:
        """Assert that a command line is rejected in one line."""
        code, out, err = self.typed(*words)
        self.assertEqual((code, out), (2, ""))
        self.assertRegex(err, rf"^error: {message}.*\n$")
        self.assertEqual(len(err.splitlines()), 1)

    def test_a_value_may_begin_with_a_dash(self) -> None:
        for key_id in ("-h7", "-", "--x", "-abc"):
            self.assertEqual(self.parsed("retire_key", key_id), {"kid": key_id})
        self.assertEqual(self.parsed("delete_user", "-a@b", "--yes")["email"], "-a@b")
        self.assertEqual(self.parsed("throttle", "clear", "--name", "-a@b")["name"], "-a@b")
        self.assertEqual(self.parsed("backup", "--", "--help"), {"file": "--help"})

    def test_options_are_accepted_in_every_form(self) -> None:
        expected = {"host": "::1", "port": "80", "workers": "3"}
        for words in (
            ("--host", "::1", "--port=80", "--workers=3"),
            ("-h", "::1", "-p", "80", "-w3"),
        ):
            self.assertEqual(self.parsed("serve", *words), expected)
        for flag in ("--last-admin", "--last_admin", "-l"):
            self.assertTrue(self.parsed("delete_user", flag, "a@b")["last_admin"])

    def test_help_explains_every_command_and_argument(self) -> None:
        for name in COMMANDS:
            for option in ("-h", "--help", "-?"):
                code, out, _ = self.typed(name, option)
                self.assertEqual(code, 0)
                self.assertIn(f"usage: manage.py {name}", out)
            for action in Parser(name, manage.manager._commands[name])._actions:
                self.assertTrue(action.help, f"{name}: {action.dest}")

    def test_the_overview_has_a_line_for_every_command(self) -> None:
        for words, code in (((), 2), (("--help",), 0), (("-h",), 0)):
            found, out, _ = self.typed(*words)
            self.assertEqual(found, code)
            for name in manage.manager._commands:
                self.assertRegex(out, rf"(?m)^  {name} +[A-Z].*[^,]$")

    def test_the_version_is_printed_everywhere(self) -> None:
        for words in (("--version",), *((name, "--version") for name in (*COMMANDS, "db"))):
            self.assertEqual(self.typed(*words), (0, f"users {VERSION}\n", ""))

    def test_an_unknown_command_names_the_nearest_one(self) -> None:
        for typed, meant in (
            ("recreatedb", "recreate_db"),
            ("create-admin", "create_admin"),
            ("retirekey", "retire_key"),
            ("Doctor", "doctor"),
        ):
            self.assert_usage_error(f"unknown command: '{typed}'; did you mean {meant}", typed)
        self.assert_usage_error("unknown command: 'xyz'; see: manage.py --help", "xyz")

    def test_wrong_arguments_are_named(self) -> None:
        self.assert_usage_error("unexpected argument: 'c'; see", "create_admin", "a", "b", "c")
        self.assert_usage_error("unexpected argument: 'x'; see", "doctor", "x")
        self.assert_usage_error("unknown option: '--jason'; see", "doctor", "--jason")
        self.assert_usage_error("unknown option: '--prot'; see", "serve", "--prot", "80")
        self.assert_usage_error("the following .* required: email; see", "create_admin", "a")
        self.assert_usage_error("argument .*--port: expected one argument", "serve", "--port")

    def test_the_app_is_made_for_a_command_alone(self) -> None:
        def make_app() -> None:
            raise AssertionError("no app is needed")

        commands = CommandLine(make_app)
        commands.command(accounts.delete_user)
        with redirect_stdout(io.StringIO()):
            self.assertEqual(commands.handle("manage.py", ["--version"]), 0)


class TestConfirmation(BaseTestCase):
    """What a command asks before it deletes data."""

    def setUp(self) -> None:
        super().setUp()
        self.enterContext(self.app.app_context())
        self.out = self.enterContext(redirect_stdout(io.StringIO()))
        self.asked = self.enterContext(redirect_stderr(io.StringIO()))

    def on_terminal(self, answer: str) -> None:
        """Answer the next question."""
        stdin = mock.Mock(**{"isatty.return_value": True, "readline.return_value": answer})
        self.enterContext(mock.patch("sys.stdin", stdin))

    def in_production(self, strict: bool = True) -> None:
        """Be in production."""
        self.enterContext(mock.patch.dict(self.app.config, STRICT=strict))

    def test_delete_user_asks_on_a_terminal(self) -> None:
        self.add_user()
        for answer in ("n\n", "\n", ""):
            self.on_terminal(answer)
            with self.assertRaisesRegex(CommandFailed, "cancelled; nothing was changed"):
                accounts.delete_user("michael@example.com")
        self.assertIn(console.database_name(), self.asked.getvalue())
        self.on_terminal("y\n")
        accounts.delete_user("michael@example.com")
        self.assertIn(f"from {console.database_name()}; 0 sessions", self.out.getvalue())

    def test_without_a_terminal_production_requires_yes(self) -> None:
        self.add_user()
        self.in_production()
        with self.assertRaisesRegex(CommandFailed, "no terminal for a confirmation: add --yes"):
            accounts.delete_user("michael@example.com")
        with self.assertRaisesRegex(CommandFailed, "add --yes"):
            throttle.throttle("clear")
        throttle.throttle("clear", name="ada@example.com")
        accounts.delete_user("michael@example.com", yes=True)

    def test_the_last_administrator_is_deleted_only_if_that_is_said(self) -> None:
        self.add_user(admin=True)
        self.add_user("ada", "ada@example.com", admin=True, active=False)
        with self.assertRaisesRegex(CommandFailed, "last active administrator .*--last-admin"):
            accounts.delete_user("michael@example.com", yes=True)
        accounts.delete_user("ada@example.com", yes=True, last_admin=True)
        self.add_user("grace", "grace@example.com", admin=True)
        accounts.delete_user("michael@example.com", yes=True)
        accounts.delete_user("grace@example.com", yes=True, last_admin=True)

    def test_development_recreates_without_a_question(self) -> None:
        self.on_terminal("")
        console.confirm("recreate_db deletes all data.", yes=False)
        self.in_production()
        with self.assertRaises(CommandFailed):
            console.confirm("recreate_db deletes all data.", yes=False)

    def test_passwords_that_differ_create_nobody(self) -> None:
        self.on_terminal("")
        with (
            mock.patch("getpass.getpass", side_effect=["one", "two"]),
            self.assertRaisesRegex(CommandFailed, "passwords differ"),
        ):
            accounts.create_admin("root", "root@example.com")

    def test_the_database_is_named_without_its_password(self) -> None:
        app = databases.bare_app("postgresql://u:hunter2@127.0.0.1:1/x?password=hunter2")
        with app.app_context():
            self.assertEqual(console.database_name(), "postgresql+psycopg2://u:***@127.0.0.1:1/x")
