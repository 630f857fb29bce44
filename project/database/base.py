"""The models' base, and the column of time."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, MetaData, Table, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


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


def table_of(model: type[Base]) -> Table:
    """Return a model's table: statements on it pass by the ORM, which costs more than they do."""
    assert isinstance(model.__table__, Table)
    return model.__table__


class UTCDateTime(TypeDecorator[datetime]):
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


class add_seconds(FunctionElement[datetime]):  # noqa: N801  # read as a function of SQL
    """The point in time so many seconds after another, reckoned by the database."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(add_seconds, "postgresql")
def _by_interval(element: add_seconds, compiler: SQLCompiler, **options: Any) -> str:
    moment, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    return f"({moment} + make_interval(secs => {seconds}))"


@compiles(add_seconds, "sqlite")
def _by_modifier(element: add_seconds, compiler: SQLCompiler, **options: Any) -> str:
    """Write it as a Moment is kept, with six digits of a second, of which SQLite knows three."""
    moment, seconds = (compiler.process(clause, **options) for clause in element.clauses)
    form = "'%Y-%m-%d %H:%M:%f'"
    return f"(strftime({form}, {moment}, ({seconds}) || ' seconds') || '000')"
