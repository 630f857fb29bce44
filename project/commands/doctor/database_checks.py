"""What the doctor looks at in the database; it changes nothing there."""

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
from project.commands.console import counted, database_name
from project.commands.database import applied_revisions
from project.commands.doctor.findings import Finding, error, ok, warning
from project.database import failures
from project.extensions import MIGRATIONS, db
from project.security.signing_keys import Algorithm, Unreadable, unseal
from project.serving import shared_secret

SLOW = 20.0
"""Milliseconds of a round trip, which every request makes at least once."""

CLOCKS_DIFFER = timedelta(seconds=1)
CLOCKS_MISLEAD = timedelta(seconds=30)
"""As long as a refresh token of before is still answered."""

ENGINES = 2

WORKERS = 2
"""As `serve` has it, where WEB_CONCURRENCY says nothing."""

ROTATE = "run: python manage.py rotate_keys"
MAX_UNROTATED = 365
"""Days that a key signs where none gets a successor by itself."""


def reach() -> Finding:
    """Look whether the database answers, and how fast."""
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        began = time.perf_counter()
        connection.execute(text("SELECT 1"))
        milliseconds = (time.perf_counter() - began) * 1000
    found = f"{database_name()} answers in {milliseconds:.1f} ms"
    if milliseconds > SLOW:
        return warning(found, "bring service and database closer together, or reduce its load")
    return ok(found)


def migrations() -> Finding:
    """Look whether the schema is the one that this version works on."""
    applied, known = set(applied_revisions()), set(ScriptDirectory(str(MIGRATIONS)).get_heads())
    found = f"the schema is at {', '.join(sorted(applied)) or 'no revision'}"
    if applied == known:
        return ok(found)
    wanted = ", ".join(sorted(known))
    return error(f"{found}, not at {wanted}", "run: python manage.py db upgrade")


def clock() -> Finding:
    """Compare this machine's clock with the database's."""
    if db.engine.name == "sqlite":
        return ok("SQLite has this machine's clock")
    with db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        began = utcnow()
        theirs: datetime = connection.scalars(select(func.clock_timestamp())).one()
        ours = began + (utcnow() - began) / 2
    apart = abs(theirs - ours)
    found = f"{apart.total_seconds():.3f} s from the database's"
    remedy = "have both machines keep time by NTP (timedatectl set-ntp true)"
    if apart > CLOCKS_MISLEAD:
        return error(found, remedy)
    return warning(found, remedy) if apart > CLOCKS_DIFFER else ok(found)


def connections() -> Finding:
    """Compare the connections that all workers may open with those that the server accepts."""
    if db.engine.name == "sqlite":
        return ok("SQLite sets no limit")
    with db.engine.connect() as connection:
        accepted = int(connection.scalars(text("SHOW max_connections")).one())
        accepted -= int(connection.scalars(text("SHOW superuser_reserved_connections")).one())
    options = current_app.config["SQLALCHEMY_ENGINE_OPTIONS"]
    pool = options["pool_size"] + options["max_overflow"]
    said = os.environ.get("WEB_CONCURRENCY", "")
    workers = int(said) if said.isdecimal() else WORKERS
    needed = workers * ENGINES * pool
    found = f"{workers} workers open up to {needed}; the server accepts {accepted} of everybody"
    remedy = "raise max_connections of the server, or serve with fewer workers"
    return warning(found, remedy) if needed > accepted else ok(found)


def secret_of_servers() -> Finding:
    """Check whether the secret is the one that the servers have recorded."""
    try:
        salt, known = shared_secret.recorded()
    except DBAPIError as caught:
        if not failures.lacks_table(caught):
            raise
        salt, known = None, None
    if salt is None:
        return ok("no server has recorded its secret yet")
    if shared_secret.current().agrees(salt, known):
        return ok("the servers have the same")
    return error("the servers have another SECRET_KEY", shared_secret.REMEDY)


def newest_signing_key() -> Finding:
    """Check which key signs tokens, how old it is, and whether it can be decrypted."""
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
    found = f"{algorithm}: {signer[0].kid} signs; the newest key is {counted(days, 'day')} old"
    try:
        unseal(signer[0].private_key, [config["SECRET_KEY"], *config["SECRET_KEY_FALLBACKS"]])
    except Unreadable:
        remedy = (
            "set the previous secret as SECRET_KEY_FALLBACKS, or let the next login create a key"
        )
        return warning(f"{found}, and cannot be decrypted with the configured secrets", remedy)
    if days > (config["KEY_ROTATION_DAYS"] or MAX_UNROTATED):
        return warning(found, ROTATE)
    return ok(found)


def _can_sign(key: KeyRow, now: datetime) -> bool:
    return key.retired_at is None and (key.signs_until is None or now < key.signs_until)
