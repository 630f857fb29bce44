"""Queries that are compiled once and sent to the driver without SQLAlchemy's overhead.

SQLAlchemy caches the text of a statement too, but looks it up for each execution and wraps it in a
transaction and a result object; that was a fifth of the cost of `GET /auth/status`.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVarTuple, cast

from sqlalchemy import Dialect, Engine, PoolProxiedConnection, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.selectable import TypedReturnsRows

Columns = TypeVarTuple("Columns")
Processor = Callable[[Any], Any]


class ConnectionLost(Exception):
    """There was no connection, or it was lost: the statement may or may not have run."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A query compiled for one dialect, with the processors of its parameters and columns."""

    text: str
    bind_processors: Mapping[str, Processor | None]
    constants: dict[str, object]
    """Values of the parameters that are part of the statement."""
    positions: tuple[str, ...] | None
    """Names of the parameters in order, where the dialect passes them by position."""
    result_processors: tuple[Processor | None, ...]
    row_type: type[Any]

    def parameters(self, values: Mapping[str, object]) -> Any:
        """Return the values in the form that the driver expects."""
        sent = {
            name: process(values[name]) if process else values[name]
            for name, process in self.bind_processors.items()
        } | self.constants
        return sent if self.positions is None else tuple(sent[name] for name in self.positions)

    def convert(self, fetched: tuple[Any, ...]) -> Any:
        """Return the driver's row as a named tuple of Python values."""
        pairs = zip(self.result_processors, fetched, strict=True)
        return self.row_type(*(process(value) if process else value for process, value in pairs))


class CompiledQuery(Generic[*Columns]):
    """A statement that returns rows, compiled once for each dialect."""

    def __init__(self, statement: TypedReturnsRows[*Columns]) -> None:
        self.statement = statement
        self._plans: dict[str, Plan] = {}

    def all(self, engine: Engine, values: Mapping[str, object]) -> Sequence[Row[*Columns]]:
        """Return the rows. Raises DBAPIError, or ConnectionLost."""
        dialect = engine.dialect
        plan = self._plans.get(dialect.name) or self._compile(dialect)
        connection = _connect(engine)
        try:
            cursor = connection.cursor()
            cursor.execute(plan.text, plan.parameters(values))
            fetched = cursor.fetchall()
            cursor.close()
        except dialect.loaded_dbapi.Error as error:
            if dialect.is_disconnect(error, connection.dbapi_connection, None):
                connection.invalidate()
                raise ConnectionLost from error
            known: type[Exception] = dialect.loaded_dbapi.Error
            raise DBAPIError.instance(plan.text, None, error, known, True) from error
        finally:
            connection.close()
        return [cast("Row[*Columns]", plan.convert(row)) for row in fetched]

    def _compile(self, dialect: Dialect) -> Plan:
        compiled = self.statement.compile(dialect=dialect)
        columns = self.statement.exported_columns
        parameters = {
            name: (parameter, parameter.type.dialect_impl(dialect).bind_processor(dialect))
            for parameter, name in compiled.bind_names.items()
        }
        plan = self._plans[dialect.name] = Plan(
            text=str(compiled),
            bind_processors={
                name: process
                for name, (parameter, process) in parameters.items()
                if parameter.required
            },
            constants={
                name: process(parameter.value) if process else parameter.value
                for name, (parameter, process) in parameters.items()
                if not parameter.required
            },
            positions=tuple(compiled.positiontup) if compiled.positiontup else None,
            result_processors=tuple(
                column.type.dialect_impl(dialect).result_processor(dialect, None)
                for column in columns
            ),
            row_type=namedtuple("Row", columns.keys()),
        )
        return plan


def _connect(engine: Engine) -> PoolProxiedConnection:
    try:
        return engine.raw_connection()
    except engine.dialect.loaded_dbapi.Error as error:
        raise ConnectionLost from error
