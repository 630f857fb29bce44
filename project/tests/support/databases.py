"""Databases for tests: new ones on demand, of the kind that this run of the suite is about."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from uuid import uuid4

import flask_migrate
from flask import Flask
from sqlalchemy import create_engine, make_url, text

from project import create_app
from project.database.url import database_url

SERVER_VARIABLE = "USERS_TEST_SERVER"
"""Where the run's PostgreSQL is; absent in a run on SQLite."""

SECRET_KEY = "5d0c6be19a7f42d3b8e61f07c94a2d5837e1b60fa4c9d27e8b35f01c6da97e42"

left_behind = ExitStack()
"""What is to be removed when the tests have ended."""


def kind() -> str:
    """Return the kind of database that this run is about."""
    return "postgresql" if SERVER_VARIABLE in os.environ else "sqlite"


def new_database() -> str:
    """Return the URL of an empty database, which goes when the tests end."""
    if server := os.environ.get(SERVER_VARIABLE):
        return _new_schema(server)
    return f"sqlite:///{folder() / uuid4().hex}.sqlite"


def new_app(url: str | None = None, **overrides: object) -> Flask:
    """Return an app in testing configuration on a database that has its schema."""
    app = bare_app(url or new_database(), **overrides)
    with app.app_context():
        flask_migrate.upgrade()
    return app


def bare_app(url: str, **overrides: object) -> Flask:
    """Return an app in testing configuration on a database that need not be there."""
    settings = {"DATABASE_TEST_URL": url, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(folder())}
    return create_app("project.config.TestingConfig", **(settings | overrides))


@cache
def shared_app(**overrides: object) -> Flask:
    """Return the app that this process's tests share; all of them on one database."""
    return new_app(_shared_database(), **overrides)


@cache
def _shared_database() -> str:
    return new_database()


@cache
def folder() -> Path:
    """Return this process's folder for files."""
    made = Path(tempfile.mkdtemp(prefix="users-tests-"))
    left_behind.callback(shutil.rmtree, made, ignore_errors=True)
    return made


def _new_schema(server: str) -> str:
    """Return a URL that sees a new schema alone: what else the server holds stays untouched."""
    name = f"users_test_{uuid4().hex}"
    _execute(server, f"CREATE SCHEMA {name}")
    left_behind.callback(_execute, server, f"DROP SCHEMA IF EXISTS {name} CASCADE")
    url = make_url(server).update_query_dict({"options": f"-csearch_path={name}"})
    return url.render_as_string(hide_password=False)


def _execute(server: str, statement: str) -> None:
    engine = create_engine(database_url(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
