"""Logging in."""

from datetime import datetime
from typing import NoReturn

from sqlalchemy import and_, bindparam, select

from project.accounts import audit, keyring, passwords, sessions, throttle
from project.accounts.audit import Event
from project.accounts.clients import Client
from project.accounts.grants import Grant
from project.accounts.throttle import Attempt
from project.api.models import KnownNetwork, User
from project.database.prepared import Prepared
from project.errors import InvalidCredentials
from project.extensions import reads, transaction
from project.security import identifiers

BY_EMAIL = Prepared(
    select(User.id, User.password, KnownNetwork.last_login_at)
    .outerjoin(
        KnownNetwork,
        and_(KnownNetwork.user_id == User.id, KnownNetwork.network == bindparam("network")),
    )
    .where(User.email_key == bindparam("email_key"))
)
"""With when the network that asks has logged in to the account, if it ever has."""


def login(email: str, password: str, client: Client) -> Grant:
    """Open a session for whoever knows the password.

    Raises InvalidCredentials, TooManyAttempts or Overloaded. An unknown address counts and costs
    what a known one does, and the database's connection is given back before hashing begins.
    """
    User.refuse_if_overloaded()
    email_key = identifiers.email_key(email)
    found = reads.alone(BY_EMAIL, email_key=email_key, network=client.network)
    last_login_at = found.last_login_at if found else None
    attempt = throttle.admit_login(email_key, client, known=last_login_at is not None)
    with throttle.uncounted_where_unavailable(attempt.counts):
        opened = User.check_password(found and found.password, password)
    if found is None or not opened:
        _refuse(found.id if found else None, client)
    with throttle.uncounted_where_unavailable(attempt.counts):
        if User.is_outdated(found.password):
            passwords.renew(found.id, found.password, password)
        return _open_session(found.id, client, attempt, last_login_at)


def _open_session(
    user_id: int, client: Client, attempt: Attempt, last_login_at: datetime | None
) -> Grant:
    key = keyring.current().signing_key()
    with transaction(InvalidCredentials):
        grant = sessions.start(user_id, client, Event.LOGIN_SUCCEEDED, key, last_login_at)
        throttle.forgive(attempt)
        return grant


def _refuse(user_id: int | None, client: Client) -> NoReturn:
    """Record the failure, of an unknown address too. Raises InvalidCredentials."""
    with transaction(InvalidCredentials):
        audit.record(Event.LOGIN_FAILED, client, user_id=user_id)
        raise InvalidCredentials
