"""Writes that differ between PostgreSQL and SQLite: beginning a transaction, and upserts."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select, literal, select, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from project.database.base import Base, table_of

INSERTS: dict[str, Callable[..., Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def begin_write(connection: Connection) -> None:
    """Begin a transaction that reads before it writes.

    On SQLite, which has one lock for the whole file, acquire it now: by default it is acquired at
    the first write, when earlier reads may be out of date. PostgreSQL locks rows instead.
    """
    driver = connection.connection.dbapi_connection
    if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def insert_new(
    session: Session,
    model: type[Base],
    values: dict[str, Any],
    where: ColumnElement[bool] | None = None,
) -> int | None:
    """Insert a row and return its id; return None if a unique key exists, or `where` is false.

    A failing INSERT would write the row, with its password hash, to PostgreSQL's log.
    """
    columns = table_of(model).c
    row = select(*(literal(value, columns[name].type) for name, value in values.items()))
    insert = INSERTS[session.get_bind().dialect.name](model)
    statement = insert.from_select([*values], row.where(true() if where is None else where))
    inserted: int | None = session.scalar(
        statement.on_conflict_do_nothing().returning(columns["id"])
    )
    return inserted


def upsert(
    dialect: str,
    model: type[Base],
    values: Mapping[str, Any],
    changes: Mapping[str, Any],
    where: ColumnElement[bool] | None = None,
) -> Any:
    """Return a statement that inserts a row, or updates the row with the same primary key.

    An existing row that does not match `where` is left unchanged.
    """
    insert = INSERTS[dialect](table_of(model)).values(values)
    return _on_conflict_update(insert, model, changes, where)


def upsert_selected(
    dialect: str,
    model: type[Base],
    rows: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]],
    changes: Mapping[str, Any],
    where: ColumnElement[bool],
) -> Any:
    """Return a statement that upserts the rows of a SELECT.

    The columns have the names of the table's. Each SELECT needs a WHERE, without which SQLite
    parses ON CONFLICT as part of a join.
    """
    names = rows.selected_columns.keys()
    insert = INSERTS[dialect](table_of(model)).from_select(names, rows, include_defaults=False)
    return _on_conflict_update(insert, model, changes, where)


def _on_conflict_update(
    statement: Any,
    model: type[Base],
    changes: Mapping[str, Any],
    where: ColumnElement[bool] | None,
) -> Any:
    key = list(model.__table__.primary_key)
    return statement.on_conflict_do_update(index_elements=key, set_=changes, where=where)
