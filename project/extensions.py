"""The extension objects, created once and bound to an app by `init_app`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from flask import Flask, current_app
from flask_bcrypt import Bcrypt
from flask_cors import CORS
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from project.database.autocommit import AutocommitEngine
from project.database.base import Base
from project.database.writes import begin_write

MIGRATIONS = Path(__file__).parent.parent / "migrations"

db = SQLAlchemy(model_class=Base)
autocommit = AutocommitEngine()
bcrypt = Bcrypt()
migrate = Migrate(directory=str(MIGRATIONS))
cors = CORS()

IN_OPERATION = "operation"
"""The key of `db.session.info` with the calls to make after the commit of the operation."""
COMPONENTS = "users"
"""The key of `app.extensions` that holds the components of the service."""

Component = TypeVar("Component")


def add_component(app: Flask, component: object, kind: type | None = None) -> None:
    """Add an object that lives as long as the app, under its class or the given protocol."""
    components: dict[type, Any] = app.extensions.setdefault(COMPONENTS, {})
    components[kind or type(component)] = component


def get_component(kind: type[Component], app: Flask | None = None) -> Component:
    """Return the app's component of this class; without an app, the current app's."""
    component: Component = (app or current_app).extensions[COMPONENTS][kind]
    return component


def find_component(kind: type[Component], app: Flask) -> Component | None:
    """Return the app's component of this class, or None."""
    component: Component | None = app.extensions.get(COMPONENTS, {}).get(kind)
    return component


def write_connection() -> Connection:
    """Return the connection of the current transaction, for statements that bypass the ORM."""
    return db.session.connection()


@contextmanager
def transaction(*recorded: type[Exception]) -> Iterator[None]:
    """Run an operation as one transaction: commit at the end, roll back on an exception.

    Steps inside never commit. An error of a `recorded` class commits what was written before it was
    raised, such as the audit row of a failed login.
    """
    if IN_OPERATION in db.session.info:
        raise RuntimeError("transaction() cannot be nested: steps of an operation never commit")
    calls: list[Callable[[], None]] = []
    db.session.info[IN_OPERATION] = calls
    error = None
    try:
        begin_write(write_connection())
        try:
            yield
        except recorded as raised:
            error = raised
        db.session.commit()
        for call in calls:
            call()
    finally:
        db.session.info.pop(IN_OPERATION, None)
        end_transaction()
    if error is not None:
        raise error


def run_after_commit(call: Callable[[], None]) -> None:
    """Call this once the caller's transaction is committed, and never if it is rolled back."""
    db.session.info[IN_OPERATION].append(call)


def end_transaction(_error: BaseException | None = None) -> None:
    """Roll back the transaction that a request has left open.

    An unreachable database has rolled it back already, so its error is ignored.
    """
    if not db.session.registry.has():
        return
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session().invalidate()
