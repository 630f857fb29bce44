"""Normalization of passwords, the cost of bcrypt hashes, and dummy hashes for unknown accounts."""

import re

import bcrypt

from project.security import normalization

MAX_PASSWORD = 1000
"""Maximum length of a new password in characters; the hash depends on all of them."""

BCRYPT_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)


def normalize(password: str) -> str:
    """Return the normalized password (NFKC), which is hashed instead of the typed one.

    Two keyboards may compose the same character differently, so NIST SP 800-63B-4, section 3.1.1.2,
    requires a normalization before hashing. A password longer than MAX_PASSWORD is not normalized.
    """
    return normalization.normalize("NFKC", password, MAX_PASSWORD)


def dummy_hash(rounds: int) -> str:
    """Return a well-formed bcrypt hash of this cost that no known password matches.

    Checking a password against it takes as long as against a real hash of the same cost. Unlike a
    real hash it is cheap to create.
    """
    return bcrypt.gensalt(rounds).decode("ascii") + "." * 31


def cost_of(password_hash: str) -> int | None:
    """Return the cost of a bcrypt hash, the base-2 logarithm of its rounds, or None for others."""
    match = BCRYPT_HASH.fullmatch(password_hash)
    return int(match[1]) if match else None


def dummy_hashes_up_to(cost: int, rounds: int) -> list[str]:
    """Return dummy hashes that fill up the time of a check at a lower cost.

    Checking them after a hash of `cost` takes as long as checking one hash of `rounds`: each cost
    takes twice the time of the one below, so 2^c + 2^c + 2^(c+1) + … + 2^(rounds-1) = 2^rounds.
    """
    return [dummy_hash(lower) for lower in range(cost, rounds)]
