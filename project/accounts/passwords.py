"""Checking a password: against what is kept of it, and when it is chosen."""

import logging

from flask import current_app

from project.errors import Fault, InvalidPayload, Unavailable
from project.extensions import bcrypt
from project.security import hashing
from project.security.breaches import FileUnusable
from project.security.policy import Policy, Weakness

MESSAGES = {
    Weakness.TOO_SHORT: "This needs at least {shortest} characters.",
    Weakness.COMMON: "This is one of the passwords that are guessed first.",
    Weakness.BREACHED: "This became known by a data breach, here or elsewhere.",
    Weakness.RESEMBLES_USER: (
        "This is little more than the username, the e-mail address or the service's name."
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
        Fault("password", weakness.value, MESSAGES[weakness].format(shortest=policy.shortest))
        for weakness in weaknesses
    ]
    if faults:
        raise InvalidPayload(faults)


def matches(kept_hash: str | None, password: str) -> bool:
    """Tell whether the password opens the hash; None stands for an account that does not exist.

    Every answer costs one hash, also where there is nothing to check against. What bcrypt cannot
    read, a foreign hash or a password with a lone surrogate, is a wrong password.
    """
    decoy = hashing.decoy_hash(current_app.config["BCRYPT_LOG_ROUNDS"])
    try:
        opened = bcrypt.check_password_hash(kept_hash or decoy, hashing.normalize(password))
    except (TypeError, ValueError):
        return False
    return opened and kept_hash is not None


def _policy() -> Policy:
    return Policy(
        shortest=current_app.config["PASSWORD_MIN_LENGTH"],
        service_name=current_app.config["SERVICE_NAME"],
        breaches_file=current_app.config["BREACHED_PASSWORDS_FILE"],
    )
