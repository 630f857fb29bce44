"""Checks the current password of a user, with the rate limits of a login."""

from typing import Any, NoReturn

from sqlalchemy import Row, and_, bindparam, select

from project.accounts import audit, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.throttle.policies import LOGIN_BY_NETWORK, Subjects
from project.errors import PasswordWrong, SessionEnded
from project.extensions import autocommit, transaction
from project.models import KnownNetwork, User

BY_ID = (
    select(
        User.id, User.username, User.email, User.email_key, User.password, User.active,
        User.language, User.email_verified_at, KnownNetwork.last_login_at,
    )
    .outerjoin(
        KnownNetwork,
        and_(KnownNetwork.user_id == User.id, KnownNetwork.network == bindparam("network")),
    )
    .where(User.id == bindparam("user_id"))
)  # fmt: skip

Account = Row[*tuple[Any, ...]]


def check(user_id: int, password: str, actor: Actor) -> Account:
    """Check the user's current password and return the account.

    Raises PasswordWrong, TooManyAttempts, Overloaded, or SessionEnded if the user was deleted.
    """
    User.check_capacity(actor.site)
    account = autocommit.first(BY_ID, user_id=user_id, network=actor.network)
    if account is None:
        raise SessionEnded
    subjects = Subjects(actor, account.email_key, account.last_login_at is not None)
    with throttle.attempt(LOGIN_BY_NETWORK, subjects=subjects) as attempt:
        if not User.check_password(account.password, password, actor.site):
            attempt.fail()
            _reject(user_id, actor)
        with transaction():
            attempt.succeed()
    return account


def _reject(user_id: int, actor: Actor) -> NoReturn:
    with transaction(PasswordWrong):
        audit.record(Event.PASSWORD_REJECTED, actor, user_id=user_id)
        raise PasswordWrong
