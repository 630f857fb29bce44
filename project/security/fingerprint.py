"""The fingerprint of a secret: enough to notice that two are different, too little to find one.

Whoever reads the database must not learn the secret from it. So the fingerprint is scrypt's (RFC
7914) over a random salt: each guess costs 16 MiB and some 50 ms, and no table can be made in
advance. And it has 16 bits only: of all wrong guesses one in 65,536 matches, so that it confirms
none, while two secrets that differ have the same one as rarely.
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
def of(secret: str, salt: str) -> str:
    """Return the fingerprint of a secret; computed once a process, since it is slow."""
    key = hashlib.scrypt(
        secret.encode(), salt=salt.encode(), n=COST, r=BLOCK_SIZE, p=1, dklen=BYTES
    )
    return key.hex()
