"""The autocommit engine, for statements that need no transaction."""

from collections.abc import Sequence

from flask import Flask, current_app
from sqlalchemy import Engine, Row, create_engine, exc
from sqlalchemy.sql.selectable import TypedReturnsRows

from project.database.compiled import Columns, CompiledQuery, ConnectionLost
from project.database.connections import build_engine_options


class AutocommitEngine:
    """An engine that sends single statements without BEGIN, ROLLBACK or a ping.

    A default transaction sends BEGIN, SELECT and ROLLBACK, and `pool_pre_ping` adds one round trip.
    In AUTOCOMMIT only the SELECT is sent. If the connection has been lost, the statement fails and
    is retried once on a new connection.
    """

    def init_app(self, app: Flask) -> None:
        """Create this app's engine; it connects at the first statement."""
        url = app.config["SQLALCHEMY_DATABASE_URI"]
        app.extensions["read_engine"] = create_engine(
            url, isolation_level="AUTOCOMMIT", **build_engine_options(url, app.config)
        )

    @property
    def engine(self) -> Engine:
        """The engine of the current app."""
        engine: Engine = current_app.extensions["read_engine"]
        return engine

    def first(
        self, statement: TypedReturnsRows[*Columns], **values: object
    ) -> Row[*Columns] | None:
        """Return the statement's first row, or None."""
        rows = self.all(statement, **values)
        return rows[0] if rows else None

    def fetch_one(self, query: CompiledQuery[*Columns], **values: object) -> Row[*Columns] | None:
        """Return the row of a compiled query, or None; see `fetch_all`."""
        rows = self.fetch_all(query, **values)
        return rows[0] if rows else None

    def fetch_all(
        self, query: CompiledQuery[*Columns], **values: object
    ) -> Sequence[Row[*Columns]]:
        """Return the rows of a compiled query.

        After a lost connection the statement is retried once through SQLAlchemy. A statement that
        writes may therefore run twice, if only its result was lost.
        """
        try:
            return query.all(self.engine, values)
        except ConnectionLost:
            return self.all(query.statement, **values)

    def all(
        self, statement: TypedReturnsRows[*Columns], **values: object
    ) -> Sequence[Row[*Columns]]:
        """Return all rows of the statement."""
        try:
            return self._read(statement, values)
        except exc.DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return self._read(statement, values)

    def _read(
        self, statement: TypedReturnsRows[*Columns], values: dict[str, object]
    ) -> Sequence[Row[*Columns]]:
        with self.engine.connect() as connection:
            return connection.execute(statement, values).all()
