"""Login with e-mail address and password."""

from dataclasses import asdict
from typing import Any, NoReturn

from sqlalchemy import Row, and_, bindparam, select

from project.accounts import audit, devices, email, passwords, sessions, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.sessions.tokens import IssuedTokens, LoginTokens
from project.accounts.signing_keys import source
from project.accounts.throttle import Attempt
from project.accounts.throttle.policies import LOGIN_BY_DEVICE, LOGIN_BY_NETWORK, Subjects
from project.database.compiled import CompiledQuery
from project.errors import InvalidCredentials, PasswordReplaced
from project.extensions import autocommit, transaction
from project.models import KnownNetwork, User
from project.security import identifiers

USER_BY_EMAIL = CompiledQuery(
    select(
        User.id,
        User.password,
        User.email,
        User.language,
        User.email_verified_at,
        KnownNetwork.last_login_at,
    )
    .outerjoin(
        KnownNetwork,
        and_(KnownNetwork.user_id == User.id, KnownNetwork.network == bindparam("network")),
    )
    .where(User.email_key == bindparam("email_key"))
)
"""Selects a user, and the time of the last login from the caller's network or NULL."""


Account = Row[*tuple[Any, ...]]


def login(
    address: str, password: str, actor: Actor, device_token: str | None = None
) -> LoginTokens:
    """Check the password and start a session.

    Raises InvalidCredentials, TooManyAttempts or Overloaded. If the password hash is replaced
    during the check, the password is checked once more.
    """
    try:
        return _login(address, password, actor, device_token)
    except PasswordReplaced:
        return _login(address, password, actor, device_token)


def _login(address: str, password: str, actor: Actor, device_token: str | None) -> LoginTokens:
    """Check the password once.

    An e-mail address without an account has the same rate limits and response time as one with an
    account. The database connection is released before the password is hashed.
    """
    User.check_capacity(actor.site)
    email_key = identifiers.email_key(address)
    found = autocommit.fetch_one(USER_BY_EMAIL, email_key=email_key, network=actor.network)
    device = found and devices.recognize(device_token, found.id, found.password)
    last_login_at = found and found.last_login_at
    subjects = Subjects(actor, email_key, last_login_at is not None, device)
    groups = (LOGIN_BY_DEVICE, LOGIN_BY_NETWORK) if device else (LOGIN_BY_NETWORK,)
    with throttle.attempt(*groups, subjects=subjects) as attempt:
        is_valid = User.check_password(found and found.password, password, actor.site)
        if found is None or not is_valid:
            attempt.fail()
            _reject(found.id if found else None, actor)
        password_hash = passwords.rehash_if_outdated(found.id, found.password, password, actor.site)
        issued = _start_session(found, actor, attempt, password_hash)
    return LoginTokens(
        **asdict(issued), device_token=devices.issue(found.id, password_hash, device)
    )


def _start_session(
    account: Account, actor: Actor, attempt: Attempt, password_hash: str
) -> IssuedTokens:
    key = source.current().signing_key()
    with transaction(InvalidCredentials):
        issued = sessions.start(
            account.id,
            actor,
            Event.LOGIN_SUCCEEDED,
            key,
            account.last_login_at,
            password_hash=password_hash,
        )
        email.notify_of_login(account, actor)
        attempt.succeed()
        return issued


def _reject(user_id: int | None, actor: Actor) -> NoReturn:
    """Record a failed login, also without an account, and raise InvalidCredentials."""
    with transaction(InvalidCredentials):
        audit.record(Event.LOGIN_FAILED, actor, user_id=user_id)
        raise InvalidCredentials
