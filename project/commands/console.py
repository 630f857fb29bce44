"""What every command shares: how it fails, what it asks, and how it names things."""

import sys
from datetime import datetime
from typing import Annotated

from flask import current_app
from flask_script_ng import Manager
from sqlalchemy import exc

from project.config import ConfigError
from project.database import failures
from project.errors import InvalidPayload, ServiceError
from project.extensions import db

CANNOT_LOAD = 4
"""The exit code of a wrong configuration. gunicorn takes it for "the app cannot be loaded": it
stops, and does not try forever."""

INTERRUPTED = 130
"""As a shell has it for a program that Ctrl-C has ended."""

Yes = Annotated[bool, "Do it without asking."]


class CommandFailed(Exception):
    """A command could not do its work; the text says why and what to do."""


def run(manager: Manager) -> None:
    """Run the command that was typed; a failure is one line and a non-zero exit code."""
    try:
        manager.run()
    except (KeyboardInterrupt, EOFError):
        print(file=sys.stderr)
        sys.exit(INTERRUPTED)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(CANNOT_LOAD)
    except CommandFailed as failure:
        sys.exit(f"error: {failure}")
    except ServiceError as error:
        sys.exit(f"error: {error.message}")
    except exc.DBAPIError as error:
        said = failures.describe(error)
        lacks_schema = isinstance(error, exc.ProgrammingError) or "no such" in said
        remedy = "; is the schema there? Run: python manage.py db upgrade" if lacks_schema else ""
        sys.exit(f"error: database error: {said}{remedy}")


def confirm(action: str, yes: bool, *, in_development: bool = False) -> None:
    """Ask before an action that cannot be undone. Raises CommandFailed.

    In production it asks on a terminal, and elsewhere requires --yes. In development it asks on a
    terminal where the command says so, and otherwise goes on.
    """
    if yes or not (current_app.config["STRICT"] or in_development):
        return
    if sys.stdin.isatty():
        print(f"{action} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandFailed("cancelled; nothing was changed.")
    elif current_app.config["STRICT"]:
        raise CommandFailed(
            f"{action} APP_SETTINGS chooses {current_app.config['APP_SETTINGS']}, and there is no "
            "terminal to ask on: add --yes if that is what you want."
        )


def described(error: InvalidPayload) -> str:
    """Return every fault of a payload in one line."""
    return " ".join(f"{fault.field}: {fault.message}" for fault in error.errors)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def moment(when: datetime) -> str:
    """Return a point in time as it is printed."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def database_name() -> str:
    """Return the database's URL without anything that could be a password."""
    return db.engine.url.set(query={}).render_as_string()
