"""Commands that create and migrate the schema."""

import logging
import sys

import click
import flask_migrate
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask_script_ng import Command
from sqlalchemy import MetaData, exc

from project.commands.console import CommandFailed, Yes, confirm, database_name, pluralize
from project.extensions import MIGRATIONS, db
from project.telemetry import logs

logger = logging.getLogger(__name__)


def recreate_db(yes: Yes = False) -> None:
    """Drop all tables of the database, then create the schema by the migrations."""
    confirm(f"recreate_db deletes all data of {database_name()}.", yes)
    tables = MetaData()
    tables.reflect(bind=db.engine)
    tables.drop_all(bind=db.engine)
    flask_migrate.upgrade()
    dropped = pluralize(len(tables.tables), "table")
    print(f"Dropped {dropped} and created the schema in {database_name()}.")


class Database(Command):  # type: ignore[misc]  # the library has no types
    """Manage the migrations: `db upgrade`, `db downgrade`, `db migrate`, `db current`, …"""

    capture_all_args = True  # Flask-Migrate handles --help

    def run(self, typed: list[str]) -> None:
        """Pass the arguments to Flask-Migrate; print the applied migrations and the revision."""
        logs.write_to(sys.stdout)
        arguments = ["--help" if word == "-h" else word for word in typed]
        migrations = flask_migrate.cli.db
        try:
            code = migrations.main(arguments, prog_name="manage.py db", standalone_mode=False)
        except click.ClickException as error:
            raise CommandFailed(error.format_message()) from None
        # The code is None after a command, and 0 after --help.
        if code is None and {"upgrade", "downgrade", "stamp"} & set(arguments):
            print(f"{database_name()} is at revision {', '.join(applied_revisions()) or 'none'}.")


def warn_of_pending_migrations() -> None:
    """Log a warning if the schema is not the latest, or the database cannot be reached."""
    known = ScriptDirectory(str(MIGRATIONS)).get_heads()
    try:
        applied = applied_revisions()
    except exc.OperationalError:
        logger.warning("%s cannot be reached yet", database_name())
        return
    if set(applied) != set(known):
        remedy = "run: python manage.py db upgrade"
        logger.warning("%s is not at the latest migration; %s", database_name(), remedy)


def applied_revisions() -> tuple[str, ...]:
    """Return the current revisions of the schema; empty if there is no schema."""
    with db.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_heads()
