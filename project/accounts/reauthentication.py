"""Reauthentication: sensitive operations require that the user has authenticated recently.

A login, a registration and a reauthentication count; a refresh does not.
"""

from datetime import datetime, timedelta

from flask import current_app
from sqlalchemy import update

from project.accounts import audit
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.passwords import current
from project.accounts.sessions import Principal
from project.clock import utcnow
from project.errors import ReauthenticationRequired, SessionEnded
from project.extensions import db, transaction
from project.models import Session


def reauthenticate(principal: Principal, password: str, actor: Actor) -> datetime:
    """Check the user's password; return the time until which this authentication is recent.

    Raises PasswordWrong, TooManyAttempts, Overloaded, or SessionEnded.
    """
    current.check(principal.id, password, actor)
    now = utcnow()
    still_open = (Session.id == principal.session_id, Session.ended_at.is_(None))
    authenticating = update(Session).where(*still_open).values(authenticated_at=now)
    with transaction():
        if db.session.scalar(authenticating.returning(Session.id)) is None:
            raise SessionEnded
        audit.record(
            Event.SESSION_REAUTHENTICATED,
            actor,
            user_id=principal.id,
            session_id=principal.session_id,
        )
    return now + window()


def check_recent(principal: Principal) -> None:
    """Check that the session's user has authenticated recently. Raises ReauthenticationRequired."""
    at = principal.authenticated_at
    if at is None or at + window() <= utcnow():
        raise ReauthenticationRequired(int(window().total_seconds()))


def window() -> timedelta:
    """Return how long an authentication is recent."""
    length: timedelta = current_app.config["REAUTHENTICATION_WINDOW"]
    return length
