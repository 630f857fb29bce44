"""Keys for one purpose each, derived from SECRET_KEY by HKDF (RFC 5869)."""

import hashlib
import hmac
from functools import lru_cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


@lru_cache(32)
def derive_key(secret: str, label: str) -> bytes:
    """Return the 32-byte key for a label, which names the key's purpose (RFC 5869, section 3.2)."""
    kdf = HKDF(hashes.SHA256(), length=32, salt=None, info=label.encode())
    return kdf.derive(secret.encode())


def mac(key: bytes, message: bytes) -> bytes:
    """Return the HMAC-SHA-256 of a message, which has 32 bytes."""
    return hmac.digest(key, message, hashlib.sha256)
