"""The engine of what needs no transaction: single reads, and the counting of attempts."""

from collections.abc import Sequence

from flask import Flask, current_app
from sqlalchemy import Engine, Row, create_engine, exc
from sqlalchemy.sql.selectable import TypedReturnsRows

from project.database.compiled import Columns, CompiledQuery, ConnectionLost
from project.database.connections import engine_options


class AutocommitEngine:
    """An engine for statements that stand alone, which sends them and nothing around them.

    A default transaction costs BEGIN, SELECT and ROLLBACK on the wire, and a ping before use one
    round trip more. In AUTOCOMMIT there is only the SELECT; a connection that has died meanwhile
    shows itself by the failing statement, which is then sent once more on a new one.
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

    def first(
        self, statement: TypedReturnsRows[*Columns], **values: object
    ) -> Row[*Columns] | None:
        """Return the statement's first row, or None."""
        rows = self.all(statement, **values)
        return rows[0] if rows else None

    def fetch_one(
        self, statement: CompiledQuery[*Columns], **values: object
    ) -> Row[*Columns] | None:
        """Return the row of a prepared statement, or None.

        Where there is no connection the ordinary way is gone, once. So a statement that writes may
        be done twice, where only its answer was lost.
        """
        try:
            return statement.first(self.engine, values)
        except ConnectionLost:
            return self.first(statement.statement, **values)

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
