"""Fingerprints of SECRET_KEY, which detect that two servers have different secrets.

A fingerprint is stored in the database and must not help a reader to find the secret. It is a
salted scrypt hash (RFC 7914): each guess costs 16 MiB and some 50 ms, and no table can be computed
in advance. It has only 16 bits: one wrong guess in 65,536 matches too, so a match confirms no
guess, and one pair of different secrets in 65,536 goes undetected.
"""

import hashlib
import secrets
from functools import cache

COST = 2**14
BLOCK_SIZE = 8
BYTES = 2
SALT_BYTES = 16


def new_salt() -> str:
    """Return a random salt."""
    return secrets.token_hex(SALT_BYTES)


@cache
def compute(secret: str, salt: str) -> str:
    """Return the fingerprint of a secret; it is slow, so each result is cached."""
    key = hashlib.scrypt(
        secret.encode(), salt=salt.encode(), n=COST, r=BLOCK_SIZE, p=1, dklen=BYTES
    )
    return key.hex()
