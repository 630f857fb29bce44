"""The doctor's checks of the database. They only read."""

import os
import time
from datetime import datetime, timedelta

from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from project.accounts import signing_keys
from project.accounts.signing_keys import KeyRow
from project.clock import utcnow
from project.commands.console import database_name, pluralize
from project.commands.database import applied_revisions
from project.commands.doctor.findings import Finding, error, ok, warning
from project.database import failures
from project.extensions import MIGRATIONS, db
from project.security.signing_keys import Algorithm, Unreadable, unseal
from project.serving import shared_secret

MAX_ROUND_TRIP = 20.0
"""Milliseconds of a round trip, which every request makes at least once."""

MAX_CLOCK_OFFSET = timedelta(seconds=1)
CRITICAL_CLOCK_OFFSET = timedelta(seconds=30)
"""As long as a previous refresh token is accepted."""

ENGINES = 2

DEFAULT_WORKERS = 2
"""The default of `serve --workers`, for when WEB_CONCURRENCY is not set."""

ROTATE = "run: python manage.py rotate_keys"
MAX_UNROTATED_DAYS = 365
"""Days that a key may sign if automatic rotation is disabled."""


def database() -> Finding:
    """Check whether the database responds, and how fast."""
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        started_at = time.perf_counter()
        connection.execute(text("SELECT 1"))
        milliseconds = (time.perf_counter() - started_at) * 1000
    found = f"{database_name()} responds in {milliseconds:.1f} ms"
    if milliseconds > MAX_ROUND_TRIP:
        return warning(found, "move service and database closer together, or reduce its load")
    return ok(found)


def migrations() -> Finding:
    """Check whether the schema is at the latest revision that this version knows."""
    applied, known = set(applied_revisions()), set(ScriptDirectory(str(MIGRATIONS)).get_heads())
    found = f"the schema is at {', '.join(sorted(applied)) or 'no revision'}"
    if applied == known:
        return ok(found)
    required = ", ".join(sorted(known))
    return error(f"{found}, not at {required}", "run: python manage.py db upgrade")


def clock() -> Finding:
    """Compare this machine's clock with the database's."""
    if db.engine.name == "sqlite":
        return ok("SQLite uses this machine's clock")
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        started_at = utcnow()
        theirs: datetime = connection.scalars(select(func.clock_timestamp())).one()
        ours = started_at + (utcnow() - started_at) / 2
    offset = abs(theirs - ours)
    found = f"{offset.total_seconds():.3f} s from the database's"
    remedy = "synchronize both machines by NTP (timedatectl set-ntp true)"
    if offset > CRITICAL_CLOCK_OFFSET:
        return error(found, remedy)
    return warning(found, remedy) if offset > MAX_CLOCK_OFFSET else ok(found)


def connections() -> Finding:
    """Compare the connections that all workers may open with the limit of the server."""
    if db.engine.name == "sqlite":
        return ok("SQLite has no limit")
    with db.engine.connect() as connection:
        accepted = int(connection.scalars(text("SHOW max_connections")).one())
        accepted -= int(connection.scalars(text("SHOW superuser_reserved_connections")).one())
    options = current_app.config["SQLALCHEMY_ENGINE_OPTIONS"]
    pool = options["pool_size"] + options["max_overflow"]
    configured = os.environ.get("WEB_CONCURRENCY", "")
    workers = int(configured) if configured.isdecimal() else DEFAULT_WORKERS
    needed = workers * ENGINES * pool
    found = f"{workers} workers open up to {needed}; the server accepts {accepted} in total"
    remedy = "raise max_connections of the server, or use fewer workers"
    return warning(found, remedy) if needed > accepted else ok(found)


def recorded_secret() -> Finding:
    """Check whether the servers have recorded the secret of this machine."""
    try:
        salt, known = shared_secret.recorded()
    except DBAPIError as caught:
        if not failures.lacks_table(caught):
            raise
        salt, known = None, None
    if salt is None:
        return ok("no server has recorded its secret yet")
    if shared_secret.current().agrees(salt, known):
        return ok("the servers have the same secret")
    return error("the servers have a different SECRET_KEY", shared_secret.REMEDY)


def newest_signing_key() -> Finding:
    """Check the age of the signing key, and whether it can be decrypted."""
    config, now = current_app.config, utcnow()
    algorithm = config["TOKEN_ALGORITHM"]
    if algorithm == Algorithm.HS256:
        return ok("HS256: tokens are signed with SECRET_KEY")
    able = [
        key
        for key in signing_keys.list_unexpired()
        if key.algorithm == algorithm and _can_sign(key, now)
    ]
    if not able:
        return ok(f"{algorithm}: the next login creates a key")
    signer = [key for key in able if key.signs_at <= now][-1:] or able[-1:]
    days = (now - able[-1].created_at).days
    found = f"{algorithm}: {signer[0].kid} signs; the newest key is {pluralize(days, 'day')} old"
    try:
        unseal(signer[0].private_key, [config["SECRET_KEY"], *config["SECRET_KEY_FALLBACKS"]])
    except Unreadable:
        remedy = (
            "set the previous secret as SECRET_KEY_FALLBACKS, or let the next login create a key"
        )
        return warning(f"{found}, and cannot be decrypted with the configured secrets", remedy)
    if days > (config["KEY_ROTATION_DAYS"] or MAX_UNROTATED_DAYS):
        return warning(found, ROTATE)
    return ok(found)


def _can_sign(key: KeyRow, now: datetime) -> bool:
    return key.retired_at is None and (key.signs_until is None or now < key.signs_until)
