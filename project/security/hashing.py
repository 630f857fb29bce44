"""What goes into a password hash, and what comes out where there is none."""

import hashlib
import unicodedata

import bcrypt

LONGEST_PASSWORD = 1000
"""Characters of a password that may be set; all of them count."""


def normalize(password: str) -> str:
    """Return the password in the one form that is hashed.

    Two keyboards may send one character in different compositions; NIST SP 800-63B-4,
    section 3.1.1.2, has the verifier normalize them by NFKC or NFKD before it hashes.
    """
    return unicodedata.normalize("NFKC", password)


def decoy_hash(rounds: int) -> str:
    """Return a well-formed bcrypt hash of this cost that no password is known to open.

    Checking a password against it takes as long as against a real one of the same cost; making it
    takes no time.
    """
    return bcrypt.gensalt(rounds).decode("ascii") + "." * 31


def digest(token: str) -> str:
    """Return what is kept of a random token: its SHA-256, in hexadecimal digits.

    It needs no salt and no cost: a token of 256 random bits cannot be guessed.
    """
    return hashlib.sha256(token.encode()).hexdigest()
