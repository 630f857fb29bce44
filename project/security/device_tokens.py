"""Device tokens, which a client that has logged in before sends with its next login.

A device token names a device and an account. It is bound to the hash of the account's password, so
a new password invalidates it. It grants no access: it only selects the rate limits of a login
attempt (OWASP, "Slow Down Online Guessing Attacks with Device Cookies").

The format is `dt_` and 108 characters of base64url: version, user id, expiry, device id,
fingerprint and HMAC-SHA-256. It is not a JWT, and every token has exactly one encoding.
"""

import base64
import hmac
import re
import secrets as random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from project.security.derivation import derive_key, mac

LABEL = "users device token"
FINGERPRINT_LABEL = "users device token fingerprint"
VERSION = 1
FORMAT = re.compile(r"dt_([A-Za-z0-9_-]{108})", re.ASCII)
FIELDS = struct.Struct(">BQQ16s16s")
"""49 bytes; with the MAC's 32 they are 81, a multiple of three, so base64url has no unused bits."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device of an account."""

    user_id: int
    fingerprint: bytes
    """Fingerprint of the hash of the account's password."""
    expires_at: datetime
    id: bytes = field(default_factory=lambda: random.token_bytes(16))


def encode(device: Device, secret: str) -> str:
    """Return the device's token, signed with the secret."""
    expiry = int(device.expires_at.timestamp())
    signed = FIELDS.pack(VERSION, device.user_id, expiry, device.id, device.fingerprint)
    token = signed + mac(derive_key(secret, LABEL), signed)
    return f"dt_{base64.urlsafe_b64encode(token).decode()}"


def decode(token: str, secrets: Sequence[str], now: datetime) -> Device | None:
    """Return the device of a valid token signed with one of the secrets, or None."""
    match = FORMAT.fullmatch(token)
    if match is None:
        return None
    raw = base64.urlsafe_b64decode(match[1])
    signed, signature = raw[: FIELDS.size], raw[FIELDS.size :]
    if not any(_is_signed(signed, signature, secret) for secret in secrets):
        return None
    version, user_id, expiry, device_id, fingerprint = FIELDS.unpack(signed)
    if version != VERSION or expiry <= now.timestamp():
        return None
    return Device(user_id, fingerprint, datetime.fromtimestamp(expiry, UTC), device_id)


def fingerprint(password_hash: str, secret: str) -> bytes:
    """Return the keyed fingerprint of a password hash: 16 bytes that disclose nothing about it."""
    return mac(derive_key(secret, FINGERPRINT_LABEL), password_hash.encode())[:16]


def _is_signed(signed: bytes, signature: bytes, secret: str) -> bool:
    return hmac.compare_digest(mac(derive_key(secret, LABEL), signed), signature)
