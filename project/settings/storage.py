"""The database, the instance folder, logs and shutdown."""

from datetime import timedelta

from project.database.url import database_url
from project.settings.parsers import (
    choice,
    duration,
    integer,
    string,
)
from project.settings.setting import Setting

STORAGE = (
    Setting("DATABASE_URL", database_url, None,
        "The database: `postgresql://…` or `sqlite:///…`. Without one: `users.sqlite` in the "
        "instance folder; production and staging require it.", secret=True),
    Setting("DATABASE_TEST_URL", database_url, None,
        "The database of `TestingConfig`, and the server that the test suite uses instead of "
        "starting one of its own.", secret=True),
    Setting("DATABASE_CONNECT_TIMEOUT", duration, timedelta(seconds=1),
        "How long to wait for a connection to PostgreSQL."),
    Setting("DATABASE_STATEMENT_TIMEOUT", duration, timedelta(seconds=1),
        "How long a statement may take in PostgreSQL; a request waits for the database half a "
        "second longer in all."),
    Setting("DATABASE_POOL_TIMEOUT", duration, timedelta(seconds=1),
        "How long to wait for one of the worker's own connections, where all are in use."),
    Setting("DRAIN_SECONDS", integer(0, 60), 2,
        "How long a server that is told to end still serves, saying at `/health/ready` that it is "
        "not ready."),
    Setting("LOG_LEVEL", choice("DEBUG", "INFO", "WARNING"), "INFO",
        "From which level on the service's lines are logged; see docs/logs.md."),
    Setting("INSTANCE_PATH", string, None,
        "The folder for what belongs to this installation alone. Without one: `instance/` beside "
        "`project/`."),
    Setting("AUDIT_RETENTION_DAYS", integer(1, 36500), 365,
        "How long the audit trail is kept; `purge` deletes what is older."),
)  # fmt: skip
