"""Writing alike on both databases: a transaction's begin, and a row whose key may be taken."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Connection, Select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from project.database.base import Base, table_of

INSERTS: dict[str, Callable[..., Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def reserve(connection: Connection) -> None:
    """Begin a transaction that reads and then writes, so that nobody writes in between.

    PostgreSQL locks the rows that a statement names. SQLite has one lock for the whole file and
    would take it at the first write: what was read before that could be out of date.
    """
    driver = connection.connection.dbapi_connection
    if isinstance(driver, sqlite3.Connection) and not driver.in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def insert_new(session: Session, model: type[Base], values: dict[str, Any]) -> int | None:
    """Insert a row and return its id; None where a unique key of it is taken.

    An INSERT that fails would put the row, hash and all, into the log of the server.
    """
    insert = INSERTS[session.get_bind().dialect.name]
    statement = insert(model).values(values).on_conflict_do_nothing()
    inserted: int | None = session.scalar(statement.returning(model.__table__.c.id))
    return inserted


def insert_or_update(
    dialect: str,
    model: type[Base],
    values: Mapping[str, Any],
    changes: Mapping[str, Any],
    where: ColumnElement[bool] | None = None,
) -> Any:
    """Return the statement that inserts a row, or changes the one that has its primary key.

    A row that is there and does not meet the condition stays as it is.
    """
    return _or_update(INSERTS[dialect](table_of(model)).values(values), model, changes, where)


def insert_selected_or_update(
    dialect: str,
    model: type[Base],
    rows: Select[*tuple[Any, ...]] | CompoundSelect[*tuple[Any, ...]],
    changes: Mapping[str, Any],
    where: ColumnElement[bool],
) -> Any:
    """Return the same for rows that are selected; each SELECT has a WHERE, or SQLite is confused.

    Its columns are named as those of the table.
    """
    names = rows.selected_columns.keys()
    inserting = INSERTS[dialect](table_of(model)).from_select(names, rows, include_defaults=False)
    return _or_update(inserting, model, changes, where)


def _or_update(
    statement: Any,
    model: type[Base],
    changes: Mapping[str, Any],
    where: ColumnElement[bool] | None,
) -> Any:
    key = list(model.__table__.primary_key)
    return statement.on_conflict_do_update(index_elements=key, set_=changes, where=where)
