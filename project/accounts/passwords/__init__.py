"""What becomes of a password: when it is chosen, and when its hash is no longer today's."""

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


def check_choice(password: str, *, username: str, email: str) -> None:
    """Refuse a user's new password that is easily guessed, where the policy is on.

    Belongs before hashing, wherever a password is chosen; a login never asks. Raises InvalidPayload
    with everything that speaks against the password, or Unavailable where the file of breaches has
    gone bad since the start: no password is taken unchecked.
    """
    if not current_app.config["PASSWORD_POLICY"]:
        return
    policy = _policy()
    try:
        weaknesses = policy.weaknesses(password, username, email)
    except (OSError, FileUnusable) as error:
        log.error("BREACHED_PASSWORDS_FILE %s", error)
        raise Unavailable from None
    faults = [
        FieldError(
            "password",
            weakness.value,
            MESSAGES[weakness].format(min_length=policy.min_length),
        )
        for weakness in weaknesses
    ]
    if faults:
        raise InvalidPayload(faults)


def renew(user_id: int, kept_hash: str, password: str, network: str | None = None) -> str:
    """Store a new hash of a valid password where the hash has not today's cost; return the hash.

    Unless another password was chosen meanwhile. Nothing depends on it: where too many passwords
    are being hashed, the next login does it.
    """
    if not User.is_outdated(kept_hash):
        return kept_hash
    try:
        new_hash = User.hash_password(password, network)
    except Overloaded:
        return kept_hash
    unchanged = update(User).where(User.id == user_id, User.password == kept_hash)
    with transaction():
        db.session.execute(unchanged.values(password=new_hash))
    return new_hash


def _policy() -> Policy:
    return Policy(
        min_length=current_app.config["PASSWORD_MIN_LENGTH"],
        service_name=current_app.config["SERVICE_NAME"],
        breaches_file=current_app.config["BREACHED_PASSWORDS_FILE"],
    )
