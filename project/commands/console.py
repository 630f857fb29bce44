"""What every command shares: how it fails, and how it names things."""

import sys
from datetime import datetime

from flask import current_app
from flask_script_ng import Manager
from sqlalchemy import exc

from project.database import failures
from project.errors import InvalidPayload, ServiceError
from project.extensions import db

INTERRUPTED = 130
"""As a shell has it for a program that Ctrl-C has ended."""


class CommandFailed(Exception):
    """A command could not do its work; the text says why and what to do."""


def run(manager: Manager) -> None:
    """Run the command that was typed; a failure is one line and a non-zero exit code."""
    try:
        manager.run()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        sys.exit(INTERRUPTED)
    except CommandFailed as failure:
        sys.exit(f"error: {failure}")
    except ServiceError as refusal:
        sys.exit(f"error: {refusal.message}")
    except exc.DBAPIError as error:
        said = failures.reason(error)
        lacks_schema = isinstance(error, exc.ProgrammingError) or "no such" in said
        remedy = "; is the schema there? Run: python manage.py db upgrade" if lacks_schema else ""
        sys.exit(f"error: the database refused: {said}{remedy}")


def refuse_in_production(command: str, yes: bool) -> None:
    """Raise CommandFailed in production, unless told to go on."""
    if current_app.config["STRICT"] and not yes:
        raise CommandFailed(
            f"{command} changes the data of {database_name()}, and APP_SETTINGS chooses "
            f"{current_app.config['APP_SETTINGS']}; if that is what you want, add --yes."
        )


def told(refusal: InvalidPayload) -> str:
    """Return every fault of a payload in one line."""
    return " ".join(f"{fault.field}: {fault.message}" for fault in refusal.faults)


def moment(when: datetime) -> str:
    """Return a point in time as it is printed."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def database_name() -> str:
    """Return the database's URL without anything that could be a password."""
    return db.engine.url.set(query={}).render_as_string()
