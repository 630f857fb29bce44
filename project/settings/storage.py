"""Settings of the database, the instance folder, the logs and the shutdown."""

from datetime import timedelta

from project.database.url import database_url
from project.settings.parsers import choice, duration, integer, string
from project.settings.setting import Setting

STORAGE = (
    Setting("DATABASE_URL", database_url, None,
        "URL of the database: `postgresql://…` or `sqlite:///…`. Required in production and "
        "staging. Elsewhere it defaults to `users.sqlite` in the instance folder.", secret=True),
    Setting("DATABASE_TEST_URL", database_url, None,
        "URL of the database of `TestingConfig`; defaults to `users_test.sqlite` in the instance "
        "folder. The test suite uses this PostgreSQL server instead of starting its own.",
        secret=True),
    Setting("DATABASE_CONNECT_TIMEOUT", duration, timedelta(seconds=1),
        "Maximum time to open a connection to PostgreSQL."),
    Setting("DATABASE_STATEMENT_TIMEOUT", duration, timedelta(seconds=1),
        "Maximum time for one statement in PostgreSQL. The maximum for all statements of a request "
        "together is half a second longer."),
    Setting("DATABASE_POOL_TIMEOUT", duration, timedelta(seconds=1),
        "Maximum time to wait for a connection from the worker's pool when all are in use."),
    Setting("DRAIN_SECONDS", integer(0, 60), 2,
        "Grace period after SIGTERM, in seconds, during which the server still serves requests and "
        "`/health/ready` reports `draining`."),
    Setting("LOG_LEVEL", choice("DEBUG", "INFO", "WARNING"), "INFO",
        "Minimum level of log lines: `DEBUG`, `INFO` or `WARNING`; see docs/logs.md."),
    Setting("INSTANCE_PATH", string, None,
        "Folder of the generated secret and the SQLite database. Defaults to `instance/` beside "
        "`project/`."),
    Setting("AUDIT_RETENTION_DAYS", integer(1, 36500), 365,
        "Age in days at which `purge` deletes audit events."),
)  # fmt: skip
