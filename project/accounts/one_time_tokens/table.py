"""The table of one-time tokens, and the secrets from which codes and links are derived."""

from collections.abc import Sequence
from typing import Any

from flask import current_app
from sqlalchemy import ColumnElement, Row

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


def secrets() -> Sequence[str]:
    """Return the secrets: the current one first, then the previous ones."""
    return [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]
