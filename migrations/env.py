"""Runs the migrations on the database of the service's settings."""

import logging
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from project.database import migration
from project.database.base import UTCDateTime
from project.extensions import db

log = logging.getLogger("migrations")


def report(*, step: Any, **_: Any) -> None:
    """Say which revision was just applied or taken back."""
    deed = "Applied" if step.is_upgrade else "Took back"
    revision = step.up_revision
    log.info("%s %s: %s", deed, revision.revision, revision.doc)


def render(kind: str, item: Any, _context: Any) -> str | bool:
    """Write the service's column of time as what it is in the database."""
    return (
        "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False
    )


def keep_if_it_changes_something(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Write no empty migration."""
    if (
        getattr(context.config.cmd_opts, "autogenerate", False)
        and directives[0].upgrade_ops.is_empty()
    ):
        directives.clear()
        log.info("Nothing has changed.")


def migrate(connection: Connection) -> None:
    """Run what was asked for in one transaction, where the database can."""
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        compare_type=True,
        # SQLite alters a table by copying it.
        render_as_batch=True,
        render_item=render,
        process_revision_directives=keep_if_it_changes_something,
        on_version_apply=report,
    )
    with context.begin_transaction():
        context.run_migrations()


with migration.connect(current_app) as connection:
    migrate(connection)
