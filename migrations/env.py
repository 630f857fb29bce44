"""Alembic's environment: it runs the migrations on the database of the settings."""

import logging
from typing import Any

from alembic import context
from flask import current_app
from sqlalchemy import Connection

from project.database import migration
from project.database.base import UTCDateTime
from project.extensions import db

log = logging.getLogger("migrations")


def log_step(*, step: Any, **_: Any) -> None:
    """Log the revision that was just applied or reverted."""
    action = "Applied" if step.is_upgrade else "Reverted"
    revision = step.up_revision
    log.info("%s %s: %s", action, revision.revision, revision.doc)


def render_type(kind: str, item: Any, _context: Any) -> str | bool:
    """Render UTCDateTime as the type that it has in the database."""
    return (
        "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False
    )


def discard_empty_migration(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Discard a generated migration that changes nothing."""
    if (
        getattr(context.config.cmd_opts, "autogenerate", False)
        and directives[0].upgrade_ops.is_empty()
    ):
        directives.clear()
        log.info("The models and the schema are equal: no migration was created.")


def migrate(connection: Connection) -> None:
    """Run the requested migrations in one transaction, if the database supports it."""
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        compare_type=True,
        # SQLite can alter most of a table only by copying it.
        render_as_batch=True,
        render_item=render_type,
        process_revision_directives=discard_empty_migration,
        on_version_apply=log_step,
    )
    with context.begin_transaction():
        context.run_migrations()


with migration.connect(current_app) as connection:
    migrate(connection)
