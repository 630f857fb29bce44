"""Creation of accounts; unique indexes decide between concurrent requests."""

from dataclasses import asdict
from typing import Any

from flask import current_app

from project.accounts import (
    audit,
    devices,
    directory,
    one_time_tokens,
    passwords,
    profile,
    sessions,
    throttle,
)
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import verification
from project.accounts.one_time_tokens import Token
from project.accounts.sessions.tokens import IssuedTokens, LoginTokens
from project.accounts.signing_keys import source
from project.accounts.throttle.policies import REGISTERING, REGISTERING_TAKEN, Subjects
from project.clock import utcnow
from project.database.writes import insert_new
from project.errors import EmailExists, RegistrationClosed, UserExists
from project.extensions import db, transaction
from project.models import User

OPEN = "open"


def register(username: str, email: str, password: str, actor: Actor) -> LoginTokens:
    """Create an account and start its first session.

    Raises RegistrationClosed, TooManyAttempts, InvalidPayload for a weak password, Overloaded, or
    UserExists for the e-mail address and for the username.
    """
    if current_app.config["REGISTRATION"] != OPEN:
        raise RegistrationClosed
    return create_account(username, email, password, actor)


def create_account(
    username: str, email: str, password: str, actor: Actor, invitation: Token | None = None
) -> LoginTokens:
    """Create an account and start its first session; raises as `register` does.

    Consumes the invitation, if there is one, which verifies the address. Counts the attempt first,
    since the check of the password is costly too.
    """
    User.check_capacity(actor.site)
    with throttle.attempt(REGISTERING, subjects=Subjects(actor)):
        passwords.check_new_password(password, username=username, email=email)
        row = User.new_row(username, email, password, actor.site)
    if invitation is not None:
        row["email_verified_at"] = utcnow()
    try:
        user_id, issued = _insert(row, actor, invitation)
    except UserExists:
        throttle.count(REGISTERING_TAKEN, subjects=Subjects(actor))
        raise
    return LoginTokens(**asdict(issued), device_token=devices.issue(user_id, row["password"]))


def _insert(
    row: dict[str, Any], actor: Actor, invitation: Token | None
) -> tuple[int, IssuedTokens]:
    key = source.current().signing_key()
    with transaction():
        if invitation is not None:
            one_time_tokens.consume(invitation)
        user_id = insert_account(row)
        if user_id is None:
            raise UserExists
        issued = sessions.start(user_id, actor, Event.USER_REGISTERED, key)
        if invitation is None:
            verification.queue_for_registration(user_id, row["email"], actor)
        else:
            one_time_tokens.assign(invitation.id, user_id)
            details = {"invitation": invitation.id.hex}
            audit.record(Event.INVITATION_ACCEPTED, actor, user_id=user_id, **details)
    return user_id, issued


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
