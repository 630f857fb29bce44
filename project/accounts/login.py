"""Logging in."""

from dataclasses import asdict
from typing import Any, NoReturn

from sqlalchemy import Row, and_, bindparam, select

from project.accounts import audit, devices, email, passwords, sessions, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Addressee
from project.accounts.sessions.tokens import IssuedTokens, LoginTokens
from project.accounts.signing_keys import source
from project.accounts.throttle import Attempt
from project.accounts.throttle.policies import BY_DEVICE, BY_NETWORK, Subjects
from project.database.compiled import CompiledQuery
from project.errors import InvalidCredentials, PasswordReplaced
from project.extensions import autocommit, transaction
from project.models import KnownNetwork, User
from project.security import identifiers

BY_EMAIL = CompiledQuery(
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
"""With when the network that asks has logged in to the account, if it ever has."""


Account = Row[*tuple[Any, ...]]


def login(
    address: str, password: str, actor: Actor, device_token: str | None = None
) -> LoginTokens:
    """Open a session where the password is the account's.

    Raises InvalidCredentials, TooManyAttempts or Overloaded. Where the password is changed or
    hashed again at the same time, it is checked again, once.
    """
    try:
        return _login(address, password, actor, device_token)
    except PasswordReplaced:
        return _login(address, password, actor, device_token)


def _login(address: str, password: str, actor: Actor, device_token: str | None) -> LoginTokens:
    """Open a session, by one check of the password.

    An unknown address counts and costs what a known one does, and the database's connection is
    given back before hashing begins.
    """
    User.refuse_if_overloaded(actor.site)
    email_key = identifiers.email_key(address)
    found = autocommit.fetch_one(BY_EMAIL, email_key=email_key, network=actor.network)
    device = found and devices.recognize(device_token, found.id, found.password)
    last_login_at = found and found.last_login_at
    subjects = Subjects(actor, email_key, last_login_at is not None, device)
    groups = (BY_DEVICE, BY_NETWORK) if device else (BY_NETWORK,)
    with throttle.attempt(*groups, subjects=subjects) as attempt:
        is_valid = User.check_password(found and found.password, password, actor.site)
        if found is None or not is_valid:
            attempt.failed()
            _refuse(found.id if found else None, actor)
        kept_hash = passwords.renew(found.id, found.password, password, actor.site)
        grant = _open_session(found, actor, attempt, kept_hash)
    return LoginTokens(**asdict(grant), device_token=devices.issue(found.id, kept_hash, device))


def _open_session(account: Account, actor: Actor, attempt: Attempt, kept_hash: str) -> IssuedTokens:
    key = source.current().signing_key()
    with transaction(InvalidCredentials):
        grant = sessions.start(
            account.id,
            actor,
            Event.LOGIN_SUCCEEDED,
            key,
            account.last_login_at,
            kept_hash=kept_hash,
        )
        if account.last_login_at is None and account.email_verified_at is not None:
            addressee = Addressee(account.id, account.email, account.language)
            email.notify("new_sign_in", addressee, actor)
        attempt.succeeded()
        return grant


def _refuse(user_id: int | None, actor: Actor) -> NoReturn:
    """Record the failure, of an unknown address too. Raises InvalidCredentials."""
    with transaction(InvalidCredentials):
        audit.record(Event.LOGIN_FAILED, actor, user_id=user_id)
        raise InvalidCredentials
