"""How the service talks to its database: the models' base, the column of time, the engines."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVarTuple

from flask import Flask, current_app
from sqlalchemy import (
    URL,
    ColumnElement,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    Row,
    Select,
    TypeDecorator,
    create_engine,
    event,
    exc,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

from project import timeouts
from project.serving import PLACES

Columns = TypeVarTuple("Columns")

POOL = {"pool_size": 5, "max_overflow": PLACES - 5}
"""Together as many connections as requests are worked at: none waits for another's."""

INSERTS: dict[str, Callable[..., Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}
UNDEFINED_TABLE = "42P01"
# And PostgreSQL's undefined_column, insufficient_privilege and read_only_sql_transaction; SQLite
# calls all of them operational errors.
UNFIT = {UNDEFINED_TABLE, "42703", "42501", "25006"}
FOREIGN_KEY_VIOLATED = {"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"}


class Base(DeclarativeBase):
    """The models' base; it names every constraint, since SQLite cannot drop an unnamed one."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Moment(TypeDecorator[datetime]):
    """A point in time: aware UTC in Python on every database (SQLite keeps no time zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive datetime, whose time zone would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a point in time must know its time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give back aware UTC whatever the driver returned."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@event.listens_for(Engine, "connect")
def prepare_sqlite(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Turn on what SQLite leaves off: foreign keys, and reading while another writes (WAL)."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")


def engine_options(url: URL, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keywords for `create_engine` that both engines on this URL share."""
    return {
        **POOL,
        "pool_timeout": config["DATABASE_POOL_TIMEOUT"].total_seconds(),
        # Parameters hold hashes and addresses: no error message may carry them into a log.
        "hide_parameters": True,
        "connect_args": timeouts.of(config).connect_args(url),
    }


def insert_new(session: Session, model: type[Base], values: dict[str, Any]) -> int | None:
    """Insert a row and return its id; None where a unique key of it is taken.

    An INSERT that fails would put the row, hash and all, into the log of the server.
    """
    insert = INSERTS[session.get_bind().dialect.name]
    statement = insert(model).values(values).on_conflict_do_nothing()
    inserted: int | None = session.scalar(statement.returning(model.__table__.c.id))
    return inserted


def insert_or_update(
    session: Session,
    model: type[Base],
    values: Mapping[str, Any],
    changes: Mapping[str, Any],
    where: ColumnElement[bool] | None = None,
) -> Any:
    """Return the statement that inserts a row, or changes the one that has its primary key.

    Where the one that is there does not meet the condition, nothing is done.
    """
    statement = INSERTS[session.get_bind().dialect.name](model).values(values)
    key = list(model.__table__.primary_key)
    return statement.on_conflict_do_update(index_elements=key, set_=changes, where=where)


def reason(error: Exception) -> str:
    """Return the first line of what the driver said; the rest may hold values."""
    said = str(getattr(error, "orig", None) or error).splitlines()
    return said[0] if said else type(error).__name__


def is_outage(error: Exception) -> bool:
    """Tell whether the database could not do its part: away, slow, read-only or without schema."""
    if isinstance(error, exc.OperationalError | exc.TimeoutError):
        return True
    if not isinstance(error, exc.DBAPIError):
        return False
    # The bare class stands for a file that is no SQLite database, or a damaged one.
    if error.connection_invalidated or type(error) is exc.DatabaseError:
        return True
    return getattr(error.orig, "pgcode", None) in UNFIT


def lacks_table(error: Exception) -> bool:
    """Tell whether the table that was asked for is not there."""
    code = getattr(getattr(error, "orig", None), "pgcode", None)
    return code == UNDEFINED_TABLE or "no such table" in reason(error)


def lacks_parent(error: exc.IntegrityError) -> bool:
    """Tell whether a row could not be written because the one that it refers to is gone."""
    code = getattr(error.orig, "pgcode", None) or getattr(error.orig, "sqlite_errorname", None)
    return code in FOREIGN_KEY_VIOLATED


class ReadEngine:
    """An engine for single reads that sends the SELECT and nothing around it.

    A default transaction costs BEGIN, SELECT and ROLLBACK on the wire, and a ping before use one
    round trip more. In AUTOCOMMIT there is only the SELECT; a connection that has died meanwhile
    shows itself by the failing read, which is then done once more on a new one.
    """

    def init_app(self, app: Flask) -> None:
        """Make this app's engine; it connects at its first read."""
        url = app.config["SQLALCHEMY_DATABASE_URI"]
        app.extensions["read_engine"] = create_engine(
            url, isolation_level="AUTOCOMMIT", **engine_options(url, app.config)
        )

    @property
    def engine(self) -> Engine:
        """The current app's engine."""
        engine: Engine = current_app.extensions["read_engine"]
        return engine

    def first(self, statement: Select[*Columns], **values: object) -> Row[*Columns] | None:
        """Return the statement's first row, or None."""
        rows = self.all(statement, **values)
        return rows[0] if rows else None

    def all(self, statement: Select[*Columns], **values: object) -> Sequence[Row[*Columns]]:
        """Return all rows of the statement."""
        try:
            return self._read(statement, values)
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._read(statement, values)

    def _read(
        self, statement: Select[*Columns], values: dict[str, object]
    ) -> Sequence[Row[*Columns]]:
        with self.engine.connect() as connection:
            return connection.execute(statement, values).all()
