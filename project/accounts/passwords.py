"""Checking a password against what is kept of it."""

from flask import current_app

from project.extensions import bcrypt
from project.security import hashing


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
