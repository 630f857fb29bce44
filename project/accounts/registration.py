"""Creation of accounts; unique indexes decide between concurrent requests."""

from dataclasses import asdict
from typing import Any

from project.accounts import audit, devices, directory, passwords, profile, sessions, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import verification
from project.accounts.sessions.tokens import LoginTokens
from project.accounts.signing_keys import source
from project.accounts.throttle.policies import REGISTERING, Subjects
from project.database.writes import insert_new
from project.errors import EmailExists, UserExists
from project.extensions import db, transaction
from project.models import User


def register(username: str, email: str, password: str, actor: Actor) -> LoginTokens:
    """Create an account and start its first session.

    Raises TooManyAttempts, InvalidPayload for a weak password, Overloaded, or UserExists for the
    e-mail address and for the username. The attempt is counted first, since checking the password
    is costly too.
    """
    User.check_capacity(actor.site)
    with throttle.attempt(REGISTERING, subjects=Subjects(actor)):
        passwords.check_new_password(password, username=username, email=email)
        row = User.new_row(username, email, password, actor.site)
    key = source.current().signing_key()
    with transaction():
        user_id = insert_account(row)
        if user_id is None:
            raise UserExists
        issued = sessions.start(user_id, actor, Event.USER_REGISTERED, key)
        verification.queue_for_registration(user_id, email, actor)
    return LoginTokens(**asdict(issued), device_token=devices.issue(user_id, row["password"]))


def add_user(username: str, email: str, password: str, actor: Actor, *, admin: bool = False) -> int:
    """Create an account on behalf of an administrator.

    Raises InvalidPayload for a weak password, Overloaded, EmailExists, or UserExists for the
    username.
    """
    passwords.check_new_password(password, username=username, email=email)
    row = User.new_row(username, email, password) | {"admin": admin}
    with transaction():
        user_id = insert_account(row)
        if user_id is not None:
            audit.record(Event.USER_CREATED, actor, user_id=user_id, admin=admin)
    if user_id is None:
        raise UserExists if directory.find_id(email) is None else EmailExists
    return user_id


def insert_account(row: dict[str, Any]) -> int | None:
    """Insert an account within the caller's transaction.

    Returns its id, or None if its e-mail address or its username is not available.
    """
    return insert_new(db.session(), User, row, profile.is_available(row["username_key"]))
