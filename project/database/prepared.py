"""A statement that almost every request sends: how that is done is worked out once.

SQLAlchemy keeps the text of a statement too, but looks it up each time, and sets up a transaction
and a result around it; that was a fifth of what asking for the status costs.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVarTuple, cast

from sqlalchemy import Dialect, Engine, Row
from sqlalchemy.sql.selectable import TypedReturnsRows

Columns = TypeVarTuple("Columns")
Processor = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What one kind of database is sent, and what becomes of the values on both ways."""

    text: str
    bound: Mapping[str, Processor | None]
    constants: dict[str, object]
    """The parameters whose values are the statement's own."""
    positions: tuple[str, ...] | None
    """The parameters in the order of the text, where they have no names in it."""
    shown: tuple[Processor | None, ...]
    row: type[Any]

    def parameters(self, values: Mapping[str, object]) -> Any:
        """Return the values as the driver takes them."""
        sent = {
            name: processed(values[name]) if processed else values[name]
            for name, processed in self.bound.items()
        } | self.constants
        return sent if self.positions is None else tuple(sent[name] for name in self.positions)

    def read(self, fetched: tuple[Any, ...]) -> Any:
        """Return a row of the driver as the statement's."""
        pairs = zip(self.shown, fetched, strict=True)
        return self.row(*(processed(value) if processed else value for processed, value in pairs))


class Prepared(Generic[*Columns]):
    """A statement with named parameters and nothing else, which gives one row or none."""

    def __init__(self, statement: TypedReturnsRows[*Columns]) -> None:
        self.statement = statement
        self._plans: dict[str, Plan] = {}

    def first(self, engine: Engine, values: Mapping[str, object]) -> Row[*Columns] | None:
        """Return the row. Raises the driver's own errors; its connection is not used again then."""
        plan = self._plans.get(engine.dialect.name) or self._planned(engine.dialect)
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(plan.text, plan.parameters(values))
            fetched = cursor.fetchone()
            cursor.close()
        except engine.dialect.loaded_dbapi.Error:
            connection.invalidate()
            raise
        finally:
            connection.close()
        return None if fetched is None else cast("Row[*Columns]", plan.read(fetched))

    def _planned(self, dialect: Dialect) -> Plan:
        compiled = self.statement.compile(dialect=dialect)
        columns = self.statement.exported_columns
        parameters = {
            name: (parameter, parameter.type.dialect_impl(dialect).bind_processor(dialect))
            for parameter, name in compiled.bind_names.items()
        }
        plan = self._plans[dialect.name] = Plan(
            text=str(compiled),
            bound={
                name: processed
                for name, (parameter, processed) in parameters.items()
                if parameter.required
            },
            constants={
                name: processed(parameter.value) if processed else parameter.value
                for name, (parameter, processed) in parameters.items()
                if not parameter.required
            },
            positions=tuple(compiled.positiontup) if compiled.positiontup else None,
            shown=tuple(
                column.type.dialect_impl(dialect).result_processor(dialect, None)
                for column in columns
            ),
            row=namedtuple("Shown", columns.keys()),
        )
        return plan
