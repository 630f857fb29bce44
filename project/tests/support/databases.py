"""Create databases and apps for tests, on the database that the run is for."""

import os
import shutil
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from uuid import uuid4

import flask_migrate
from flask import Flask
from sqlalchemy import URL, create_engine, make_url, text

from project import create_app
from project.database.url import database_url

SERVER_VARIABLE = "USERS_TEST_SERVER"
"""Environment variable with the URL of the PostgreSQL server; unset in a run on SQLite."""

SECRET_KEY = "5d0c6be19a7f42d3b8e61f07c94a2d5837e1b60fa4c9d27e8b35f01c6da97e42"

cleanup = ExitStack()
"""Clean-up to do after the last test."""


def kind() -> str:
    """Return the database that this run is for: "sqlite" or "postgresql"."""
    return "postgresql" if SERVER_VARIABLE in os.environ else "sqlite"


def new_database() -> str:
    """Create an empty database, deleted after the run; return its URL."""
    if server := os.environ.get(SERVER_VARIABLE):
        return _new_schema(server)
    return f"sqlite:///{folder() / uuid4().hex}.sqlite"


def new_app(url: str | None = None, **overrides: object) -> Flask:
    """Create an app in the testing configuration; migrate its database."""
    app = bare_app(url or new_database(), **overrides)
    database: URL = app.config["SQLALCHEMY_DATABASE_URI"]
    file = Path(database.database or "")
    if database.get_backend_name() == "sqlite" and not file.exists():
        shutil.copy(_migrated_file(), file)
        return app
    with app.app_context():
        flask_migrate.upgrade()
    return app


def bare_app(url: str, **overrides: object) -> Flask:
    """Create an app in the testing configuration; leave its database as it is."""
    settings = {"DATABASE_TEST_URL": url, "SECRET_KEY": SECRET_KEY, "INSTANCE_PATH": str(folder())}
    return create_app("project.config.TestingConfig", **(settings | overrides))


@cache
def shared_app(**overrides: object) -> Flask:
    """Return an app that the tests of this process share; all such apps share one database."""
    return new_app(_shared_database(), **overrides)


@cache
def _shared_database() -> str:
    return new_database()


@cache
def _migrated_file() -> Path:
    """Return a migrated SQLite database; copying it takes less time than migrating another."""
    file = folder() / "migrated.sqlite"
    with bare_app(f"sqlite:///{file}").app_context():
        flask_migrate.upgrade()
    return file


@cache
def folder() -> Path:
    """Return the temporary folder of this process."""
    made = Path(tempfile.mkdtemp(prefix="users-tests-"))
    cleanup.callback(shutil.rmtree, made, ignore_errors=True)
    return made


def _new_schema(server: str) -> str:
    """Create a schema; return a URL whose connections see only that schema."""
    name = f"users_test_{uuid4().hex}"
    _execute(server, f"CREATE SCHEMA {name}")
    cleanup.callback(_execute, server, f"DROP SCHEMA IF EXISTS {name} CASCADE")
    url = make_url(server).update_query_dict({"options": f"-csearch_path={name}"})
    return url.render_as_string(hide_password=False)


def _execute(server: str, statement: str) -> None:
    engine = create_engine(database_url(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
