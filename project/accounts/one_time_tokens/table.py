"""The table of one-time tokens, and the secrets from which codes and links are derived."""

from collections.abc import Sequence
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Row, Select, select

from project.clock import utcnow
from project.database.base import table_of
from project.models import OneTimeToken

INVITATION = "invitation"
"""The purpose of the tokens that have no account; `new_email` is the invited address."""
DISOWN_PREFIX = "disown_"

TABLE = table_of(OneTimeToken)
IS_DISOWN = TABLE.c.purpose.startswith(DISOWN_PREFIX)

Token = Row[*tuple[Any, ...]]
"""A row of the table of one-time tokens."""


def is_usable() -> tuple[ColumnElement[bool], ...]:
    """Return the conditions that a token is neither consumed nor expired."""
    return TABLE.c.used_at.is_(None), TABLE.c.expires_at > utcnow()


def select_newest(user_id: int, purpose: str) -> Select[*tuple[Any, ...]]:
    """Return the query for the newest usable token of a user and a purpose."""
    whose = (TABLE.c.user_id == user_id, TABLE.c.purpose == purpose)
    newest_first = (TABLE.c.created_at.desc(), TABLE.c.id)
    return select(TABLE).where(*whose, *is_usable()).order_by(*newest_first).limit(1)


def secrets() -> Sequence[str]:
    """Return the secrets: the current one first, then the previous ones."""
    return [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]
