"""Error handling, confirmation and output formats, shared by all commands."""

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
"""The exit code of a wrong configuration. gunicorn stops when a worker exits with it, instead of
starting workers for ever."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as in a shell."""

Yes = Annotated[bool, "Do not ask for confirmation."]


class CommandFailed(Exception):
    """The command failed; its message states the reason and the remedy."""


def run(manager: Manager) -> None:
    """Run the command line. On failure print one line and exit with a non-zero code."""
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
        reason = failures.describe(error)
        lacks_schema = isinstance(error, exc.ProgrammingError) or "no such" in reason
        remedy = "; does the schema exist? Run: python manage.py db upgrade" if lacks_schema else ""
        sys.exit(f"error: database error: {reason}{remedy}")


def confirm(action: str, yes: bool, *, in_development: bool = False) -> None:
    """Ask for confirmation of an action that cannot be undone. Raises CommandFailed.

    In production it asks if there is a terminal, and requires --yes if there is none. In
    development it asks only on a terminal, and only if `in_development` is set.
    """
    if yes or not (current_app.config["STRICT"] or in_development):
        return
    if sys.stdin.isatty():
        print(f"{action} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CommandFailed("cancelled; nothing was changed.")
    elif current_app.config["STRICT"]:
        raise CommandFailed(
            f"{action} APP_SETTINGS is {current_app.config['APP_SETTINGS']}, and there is no "
            "terminal for a confirmation: add --yes to confirm."
        )


def describe(error: InvalidPayload) -> str:
    """Return the field errors of a payload in one line."""
    return " ".join(f"{fault.field}: {fault.message}" for fault in error.errors)


def pluralize(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless the number is 1."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_time(time: datetime) -> str:
    """Return a point in time in the format of all commands."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def database_name() -> str:
    """Return the URL of the database without its password and its parameters."""
    return db.engine.url.set(query={}).render_as_string()
