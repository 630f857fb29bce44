"""What is hashed of a password, and hashes for accounts that do not exist."""

import re

import bcrypt

from project.security import normalization

MAX_PASSWORD = 1000
"""Characters of a password that may be set; all of them count."""


BCRYPT_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}", re.ASCII)


def normalize(password: str) -> str:
    """Return the password in the one form that is hashed.

    Two keyboards may send one character in different compositions; NIST SP 800-63B-4,
    section 3.1.1.2, has the verifier normalize them by NFKC or NFKD before it hashes. A password
    that is longer than any that may be set is hashed as it is.
    """
    return normalization.normalize("NFKC", password, MAX_PASSWORD)


def dummy_hash(rounds: int) -> str:
    """Return a well-formed bcrypt hash of this cost that no password is known to open.

    Checking a password against it takes as long as against a real one of the same cost; making it
    takes no time.
    """
    return bcrypt.gensalt(rounds).decode("ascii") + "." * 31


def cost_of(kept_hash: str) -> int | None:
    """Return the cost of a bcrypt hash: the logarithm of its rounds; None where it is no such."""
    form = BCRYPT_HASH.fullmatch(kept_hash)
    return int(form[1]) if form else None


def dummy_hashes_up_to(cost: int, rounds: int) -> list[str]:
    """Return hashes that, checked beside one of this lower cost, take as long as one of `rounds`.

    A hash of one more costs twice as much, so 2^c + 2^c + 2^(c+1) + … makes up for the difference.
    """
    return [dummy_hash(lower) for lower in range(cost, rounds)]
