"""Fills a PostgreSQL database with good users and sessions: a million of each in about a minute."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import create_engine, text

from project.models import User
from project.tests.utils import PASSWORD

SPREAD = timedelta(days=300)
"""The time over which the accounts were made, each with its session; the last one was made now."""

KEPT_FOR = timedelta(days=365)
EXPIRED_FOR = timedelta(days=3)

USERS = """
INSERT INTO users (username, username_key, email, email_key, password, active, admin, created_at)
SELECT name, name, name || '@example.com', name || '@example.com', :password, true, false, made
FROM (
    SELECT 'member' || number AS name, now() - :spread * (1 - number / (:users)::float) AS made
    FROM generate_series(1, :users) AS number
) AS named
"""
SESSIONS = """
INSERT INTO sessions (id, user_id, created_at, expires_at, generation, refreshed_at, last_seen_at,
    address, user_agent)
SELECT gen_random_uuid(), users.id, created_at, created_at + :kept_for, 0, created_at, created_at,
    '203.0.113.7', 'crowd'
FROM users CROSS JOIN generate_series(1, :each) WHERE users.id BETWEEN :first AND :last
"""
EXPIRED = """
INSERT INTO sessions (id, user_id, created_at, expires_at, generation, refreshed_at, last_seen_at,
    address, user_agent)
SELECT gen_random_uuid(), 1, now() - :kept_for, now() - :expired_for, 0, now() - :kept_for,
    now() - :kept_for, '203.0.113.7', 'crowd'
FROM generate_series(1, :number)
"""
ENDED = """
UPDATE sessions SET ended_at = now()
WHERE id IN (SELECT id FROM sessions WHERE user_id = :user_id ORDER BY id LIMIT :number)
"""


def fill(app: Flask, users: int) -> None:
    """Make so many users in an app's empty database, each with a session that is open.

    They are `member1` and so on, with addresses at example.com and the tests' password.
    """
    with app.app_context():
        password = User.hash_password(PASSWORD)
    _execute(app, USERS, users=users, spread=SPREAD, password=password)
    _execute(app, SESSIONS, first=1, last=users, each=1, kept_for=KEPT_FOR)
    # As autovacuum would, a while later; and what has to be written to disk is written now.
    for statement in ("VACUUM ANALYZE users", "VACUUM ANALYZE sessions", "CHECKPOINT"):
        _execute(app, statement)


def add_sessions(app: Flask, user_id: int, number: int) -> None:
    """Open so many more sessions of a user."""
    _execute(app, SESSIONS, first=user_id, last=user_id, each=number, kept_for=KEPT_FOR)


def add_ended(app: Flask, user_id: int, number: int) -> None:
    """Add so many sessions of a user that have been ended, as somebody has who logs in all day."""
    add_sessions(app, user_id, number)
    _execute(app, ENDED, user_id=user_id, number=number)
    _execute(app, "VACUUM ANALYZE sessions")


def add_expired(app: Flask, number: int) -> None:
    """Add so many sessions that expired some days ago, of the first user."""
    _execute(app, EXPIRED, number=number, kept_for=KEPT_FOR, expired_for=EXPIRED_FOR)


def _execute(app: Flask, statement: str, **values: object) -> None:
    """Do this by a connection that waits for as long as it takes, outside of a transaction."""
    url = app.config["SQLALCHEMY_DATABASE_URI"]
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement), values)
    engine.dispose()
