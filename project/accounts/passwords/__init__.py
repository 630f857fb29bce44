"""Checks new passwords and replaces outdated hashes."""

import logging

from flask import current_app
from sqlalchemy import update

from project.errors import FieldError, InvalidPayload, Overloaded, Unavailable
from project.extensions import db, transaction
from project.models import User
from project.security.passwords import Policy, Weakness
from project.security.passwords.breaches import FileUnusable

MESSAGES = {
    Weakness.TOO_SHORT: "This needs at least {min_length} characters.",
    Weakness.COMMON: "This password is too common.",
    Weakness.BREACHED: "This password has appeared in a data breach.",
    Weakness.RESEMBLES_USER: (
        "This password is too similar to the username, the e-mail address or the service's name."
    ),
}

log = logging.getLogger(__name__)


def check_new_password(password: str, *, username: str, email: str) -> None:
    """Check a user's new password against the password policy, if it is enabled.

    Call this before hashing a new password, not at login. Raises InvalidPayload with all weaknesses
    of the password, or Unavailable if the file of breached passwords has become unreadable: no
    password is accepted unchecked.
    """
    if not current_app.config["PASSWORD_POLICY"]:
        return
    policy = _policy()
    try:
        weaknesses = policy.weaknesses(password, username, email)
    except (OSError, FileUnusable) as error:
        log.error("BREACHED_PASSWORDS_FILE %s", error)
        raise Unavailable from None
    errors = [
        FieldError(
            "password",
            weakness.value,
            MESSAGES[weakness].format(min_length=policy.min_length),
        )
        for weakness in weaknesses
    ]
    if errors:
        raise InvalidPayload(errors)


def rehash_if_outdated(
    user_id: int, password_hash: str, password: str, network: str | None = None
) -> str:
    """Return the hash of a valid password; replace the hash first if its cost is outdated.

    Nothing is stored if the password was changed meanwhile. If the hashing pool is full, the next
    login replaces the hash.
    """
    if not User.is_outdated(password_hash):
        return password_hash
    try:
        new_hash = User.hash_password(password, network)
    except Overloaded:
        return password_hash
    unchanged = update(User).where(User.id == user_id, User.password == password_hash)
    with transaction():
        db.session.execute(unchanged.values(password=new_hash))
    return new_hash


def _policy() -> Policy:
    return Policy(
        min_length=current_app.config["PASSWORD_MIN_LENGTH"],
        service_name=current_app.config["SERVICE_NAME"],
        breaches_file=current_app.config["BREACHED_PASSWORDS_FILE"],
    )
