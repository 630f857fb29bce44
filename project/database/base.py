"""The base class of the models, and the column type for points in time."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, MetaData, Table, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class Base(DeclarativeBase):
    """The base class of the models, which names all constraints: SQLite drops only named ones."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def table_of(model: type[Base]) -> Table:
    """Return a model's table, for statements that bypass the ORM and its overhead."""
    assert isinstance(model.__table__, Table)
    return model.__table__


class UTCDateTime(TypeDecorator[datetime]):
    """A point in time: aware UTC in Python on every database (SQLite stores no time zone)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC. Raises ValueError for a naive datetime, whose time zone is unknown."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no time zone; use utcnow()")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return aware UTC for a datetime of the driver, naive or aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class add_seconds(FunctionElement[datetime]):  # noqa: N801  # used like an SQL function
    """SQL for a point in time plus a number of seconds: `add_seconds(time, seconds)`."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(add_seconds, "postgresql")
def _compile_for_postgresql(element: add_seconds, compiler: SQLCompiler, **options: Any) -> str:
    time, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({time} + make_interval(secs => {seconds}))"


@compiles(add_seconds, "sqlite")
def _compile_for_sqlite(element: add_seconds, compiler: SQLCompiler, **options: Any) -> str:
    """Write the format of UTCDateTime: six decimals of a second, of which SQLite computes three."""
    time, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    form = "'%Y-%m-%d %H:%M:%f'"
    return f"(strftime({form}, {time}, ({seconds}) || ' seconds') || '000')"
