"""All middleware of the service, in the order in which a request passes through it.

A request passes both lists from top to bottom, its response from bottom to top.
"""

from collections.abc import Callable
from wsgiref.types import WSGIApplication

from flask import Flask

from project.database import deadline, timeouts
from project.extensions import db, end_transaction
from project.http import access_log, cors, headers, request_counter
from project.serving import concurrency


def limit_database_time(app: Flask) -> None:
    """Limit how long a request waits for PostgreSQL, where a limit is configured."""
    if longest := timeouts.from_config(app.config).request:
        deadline.init_app(app, longest.total_seconds())


def end_transactions(app: Flask) -> None:
    """End the transaction that a request leaves open."""
    app.teardown_request(end_transaction)


WSGI: tuple[Callable[[Flask], WSGIApplication], ...] = (
    request_counter.count,  # outermost, so that a duration includes the wait for a slot
    concurrency.limit,  # around Flask, so that a slot is held only while the app works
)
"""Wrappers of the WSGI callable. They come before Flask: a hook costs several times as much."""

HOOKS: tuple[Callable[[Flask], None], ...] = (
    access_log.init_app,  # measures the other hooks too, and logs the status that the client gets
    limit_database_time,  # outside the session, which may wait for the database when it closes
    db.init_app,  # closes the session
    end_transactions,  # before the session is closed, so that a lost connection is no error
    cors.init_app,  # after the header fields, to which it adds its own
    headers.init_app,  # next to the view, whose own header fields take precedence
)
"""Functions that register hooks of Flask, which runs those after a request in reverse order."""


def register_hooks(app: Flask) -> None:
    """Register the hooks in their order."""
    for register in HOOKS:
        register(app)


def wrap(app: Flask) -> None:
    """Wrap the app's WSGI callable; the first wrapper of the list becomes the outermost."""
    for wrapped in reversed(WSGI):
        app.wsgi_app = wrapped(app)  # type: ignore[assignment,method-assign]  # as Flask documents
