"""Fills a database of the service with a crowd: users with a session each."""

from contextlib import closing

import psycopg2

USERS = """
    INSERT INTO users
        (username, username_key, email, email_key, password, active, admin, created_at)
    SELECT 'crowd' || number, 'crowd' || number, 'crowd' || number || '@example.com',
        'crowd' || number || '@example.com', '$2b$04$' || repeat('.', 53), true, false,
        now() - number * interval '1 second'
    FROM generate_series(1, %(users)s) AS number
"""
SESSIONS = """
    INSERT INTO sessions
        (id, user_id, created_at, expires_at, generation, refreshed_at, last_seen_at, address,
        user_agent)
    SELECT gen_random_uuid(), id, created_at, now() + interval '300 days', 0, created_at,
        created_at, '127.0.0.1', 'crowd'
    FROM users
"""


def fill(url: str, users: int) -> None:
    """Make so many users."""
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        for statement in (USERS, SESSIONS, "VACUUM ANALYZE"):
            cursor.execute(statement, {"users": users})
