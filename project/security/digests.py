"""Digests of random tokens."""

import hashlib


def sha256(token: str) -> str:
    """Return the SHA-256 of a random token, in hexadecimal digits, for storing instead of it.

    A token of 256 random bits cannot be guessed, so its digest needs neither salt nor cost.
    """
    return hashlib.sha256(token.encode()).hexdigest()
