"""Digests of random tokens."""

import hashlib


def sha256(token: str) -> str:
    """Return the SHA-256 of a random token in hexadecimal digits, which is what is stored of it.

    It needs no salt and no cost: a token of 256 random bits cannot be guessed.
    """
    return hashlib.sha256(token.encode()).hexdigest()
