"""Keys of one purpose each, derived from the service's secret (RFC 5869)."""

import hashlib
import hmac
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


@lru_cache(32)
def derived_key(secret: str, label: str) -> bytes:
    """Return the 32-byte key that the secret gives under this label."""
    kdf = HKDF(hashes.SHA256(), length=32, salt=None, info=label.encode())
    return kdf.derive(secret.encode())


def mac(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a message: 32 bytes."""
    return hmac.digest(key, message, hashlib.sha256)
