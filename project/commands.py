"""What `manage.py` does, as plain functions that print what they did."""

import getpass
import logging
import os
import re
import secrets
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import click
import flask_migrate
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask, current_app
from flask_script_ng import Command, Manager, Server
from sqlalchemy import MetaData, exc

from project import database, serving
from project.accounts import keyring, keys, lifecycle, registration
from project.accounts.keys import KeyRow
from project.api.models import Session, User
from project.api.payload import validate
from project.api.schemas import RegisterRequest
from project.clock import utcnow
from project.errors import InvalidPayload, ServiceError, UserExists
from project.extensions import MIGRATIONS, db
from project.security import hashing

ROOT = Path(__file__).parent.parent
SEEDED_USERS = (
    ("michael", "michael@example.com"),
    ("michaelherman", "michaelherman@example.com"),
)
SEEDED_PASSWORD = "test"


class CommandFailed(Exception):
    """A command could not do its work; the text says why and what to do."""


def run(manager: Manager) -> None:
    """Run the command that was typed; a failure is one line and a non-zero exit code."""
    try:
        manager.run()
    except CommandFailed as failure:
        sys.exit(f"error: {failure}")
    except ServiceError as refusal:
        sys.exit(f"error: {refusal.message}")
    except exc.DBAPIError as error:
        said = database.reason(error)
        lacks_schema = isinstance(error, exc.ProgrammingError) or "no such" in said
        remedy = "; is the schema there? Run: python manage.py db upgrade" if lacks_schema else ""
        sys.exit(f"error: the database refused: {said}{remedy}")


def recreate_db(yes: bool = False) -> None:
    """Drop every table of the database, then build the schema by the migrations."""
    _refuse_in_production("recreate_db", yes)
    tables = MetaData()
    tables.reflect(bind=db.engine)
    tables.drop_all(bind=db.engine)
    flask_migrate.upgrade()
    print(f"Dropped {len(tables.tables)} tables and built the schema in {_database()}.")


def seed_db(yes: bool = False) -> None:
    """Make the users michael and michaelherman, password `test`; those that exist stay."""
    _refuse_in_production("seed_db", yes)
    for username, email in SEEDED_USERS:
        try:
            registration.add_user(username, email, SEEDED_PASSWORD)
            print(f"Made {username} <{email}>.")
        except UserExists:
            print(f"Kept {username} <{email}>, who existed.")
        except InvalidPayload as refusal:
            raise CommandFailed(
                f"no user was made: PASSWORD_POLICY is on. {_told(refusal)}"
            ) from None


def create_admin(username: str, email: str) -> None:
    """Make an administrator; the password is asked for, or read from standard input."""
    asked = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline()
    fields = {"username": username, "email": email, "password": asked.rstrip("\n")}
    try:
        account = validate(RegisterRequest, fields)
        registration.add_user(account.username, account.email, account.password, admin=True)
    except InvalidPayload as refusal:
        raise CommandFailed(f"no administrator was made. {_told(refusal)}") from None
    except UserExists as refusal:
        raise CommandFailed(f"no administrator was made. {refusal.message}") from None
    print(f"Made the administrator {username} <{email}>.")


def deactivate_user(email: str) -> None:
    """Take an account out of use; its sessions end."""
    print(f"Took {email} out of use; {lifecycle.deactivate(email)} sessions ended.")


def activate_user(email: str) -> None:
    """Take an account back into use."""
    lifecycle.activate(email)
    print(f"Took {email} back into use.")


def delete_user(email: str) -> None:
    """Delete an account; its sessions end."""
    print(f"Deleted {email}; {lifecycle.remove(email)} sessions ended.")


def make_service_token() -> None:
    """Make a token by which another service may introspect; say what to set for it."""
    token = secrets.token_urlsafe(32)
    print(f"Give the other service: {token}")
    print(f"Add to SERVICE_TOKENS:  {hashing.digest(token)}")


def list_keys() -> None:
    """List the keys that sign tokens, and what each does now."""
    if keyring.current().is_symmetric:
        print("TOKEN_ALGORITHM is HS256: the secret signs, and no other key does.")
    else:
        keyring.published()
    for key in keys.kept():
        print(f"{key.kid}  {key.algorithm:5}  {_moment(key.created_at)}  {_state(key)}")


def rotate_keys() -> None:
    """Make the key that will sign next; it is published at once."""
    ring = keyring.current()
    if ring.is_symmetric:
        raise CommandFailed(
            "TOKEN_ALGORITHM is HS256, where the secret signs: set a new SECRET_KEY, and add the "
            "old one to SECRET_KEY_FALLBACKS."
        )
    ring.prepare()
    signs_at = utcnow() + keys.lead()
    made = ring.rotate(signs_at)
    if made is None:
        raise CommandFailed("another process has made a key at the same time; that one will do.")
    print(f"Made {made}, published now; it signs from {_moment(signs_at)} on.")


def retire_key(kid: str) -> None:
    """Refuse every token that a key has signed, at once; for a key that has leaked."""
    try:
        keys.retire(kid)
    except keys.UnknownKey:
        raise CommandFailed(f"there is no key {kid}; list_keys lists them.") from None
    keyring.current().prepare()
    print(f"Retired {kid}: its tokens are refused from now on, and their users log in again.")


def test() -> int:
    """Run the whole suite on SQLite and on PostgreSQL."""
    return _run_suite()


def cov() -> int:
    """Run the whole suite under branch coverage; prints the table and writes htmlcov/."""
    return _run_suite("--coverage")


class Database(Command):  # type: ignore[misc]  # the library has no types
    """Manage the migrations: `db upgrade`, `db downgrade`, `db migrate`, `db current`, …"""

    capture_all_args = True
    help_args = ()  # --help is Flask-Migrate's to answer

    def run(self, arguments: list[str]) -> None:
        """Hand the arguments to Flask-Migrate; say what it changed and where the schema stands."""
        logging.basicConfig(format="%(message)s")
        applied = logging.getLogger("migrations")
        applied.setLevel(logging.INFO)
        applied.propagate = False
        applied.addHandler(logging.StreamHandler(sys.stdout))
        migrations = flask_migrate.cli.db
        try:
            code = migrations.main(arguments, prog_name="manage.py db", standalone_mode=False)
        except click.ClickException as refusal:
            raise CommandFailed(refusal.format_message()) from None
        # --help ends with a code; a command that was run ends with nothing.
        if code is None and {"upgrade", "downgrade", "stamp"} & set(arguments):
            print(f"{_database()} is at revision {', '.join(_applied_revisions()) or 'none'}.")


class DevelopmentServer(Server):  # type: ignore[misc]  # the library has no types
    """Serve with Werkzeug's development server, which starts anew when a file changes."""

    help = description = __doc__

    def __init__(self) -> None:
        super().__init__(use_debugger=False, use_reloader=True, threaded=True)

    def __call__(self, app: Flask, host: str, port: int, *args: object, **kwargs: object) -> None:
        """Serve until interrupted."""
        if "WERKZEUG_RUN_MAIN" not in os.environ:  # else the reloader's child, whose port is taken
            check_port(host, port)
            with app.app_context():
                _warn_of_pending_migrations()
        super().__call__(app, host, port, *args, **kwargs)


def serve(host: str = "127.0.0.1", port: str = "5000", workers: str = "2") -> None:
    """Serve with granian, the server for production, until a signal ends it."""
    if not re.fullmatch(r"[0-9]{1,5}", port) or not re.fullmatch(r"[1-9][0-9]{0,2}", workers):
        raise CommandFailed("--port and --workers take a whole number.")
    check_port(host, int(port))
    _warn_of_pending_migrations()
    chosen = current_app.config["APP_SETTINGS"]
    print(
        f"Serving {_database()} by {chosen} on http://{host}:{port}; try it at /docs.", flush=True
    )
    os.chdir(ROOT)
    timeout = current_app.config["CLIENT_TIMEOUT_SECONDS"]
    os.execv(sys.executable, serving.granian(host, port, workers, timeout))


def shell_context() -> dict[str, object]:
    """Return what the shell knows by name."""
    return {"app": current_app, "db": db, "User": User, "Session": Session}


def check_port(host: str, port: int) -> None:
    """Raise CommandFailed where nothing can listen; a server would say so by a stack trace."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CommandFailed(
                f"cannot listen on {host}:{port} ({reason}); stop what listens there, or give "
                "another --port."
            ) from None


def _state(key: KeyRow) -> str:
    """Tell what a key does now."""
    now = utcnow()
    if key.retired_at is not None:
        return f"retired {_moment(key.retired_at)}"
    if not keys.is_good(key, now):
        return "expired"
    if key.signs_at > now:
        return f"published, signs from {_moment(key.signs_at)} on"
    ring = keyring.current()
    if not ring.is_symmetric and ring.signs_with(key.kid):
        return "signs"
    return f"verifies until {_moment(key.expires_at)}" if key.expires_at else "verifies"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _warn_of_pending_migrations() -> None:
    known = ScriptDirectory(str(MIGRATIONS)).get_heads()
    try:
        applied = _applied_revisions()
    except exc.OperationalError:
        print(f"warning: {_database()} cannot be reached yet.", file=sys.stderr)
        return
    if set(applied) != set(known):
        remedy = "run: python manage.py db upgrade"
        print(f"warning: {_database()} is not at the latest migration; {remedy}", file=sys.stderr)


def _applied_revisions() -> tuple[str, ...]:
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_heads()


def _refuse_in_production(command: str, yes: bool) -> None:
    if current_app.config["STRICT"] and not yes:
        raise CommandFailed(
            f"{command} changes the data of {_database()}, and APP_SETTINGS chooses "
            f"{current_app.config['APP_SETTINGS']}; if that is what you want, add --yes."
        )


def _told(refusal: InvalidPayload) -> str:
    return " ".join(f"{fault.field}: {fault.message}" for fault in refusal.faults)


def _database() -> str:
    """Return the database's URL without anything that could be a password."""
    return db.engine.url.set(query={}).render_as_string()


def _run_suite(*options: str) -> int:
    if not (ROOT / "project" / "tests").is_dir():
        raise CommandFailed("the tests are not here; a container's image comes without them.")
    # A process of its own: coverage must begin before `project` is imported.
    command = [sys.executable, "-m", "project.tests.run", *options]
    return subprocess.run(command, cwd=ROOT, check=False).returncode
