"""Device tokens: what a client that has logged in before shows beside its next password.

After OWASP's "Slow Down Online Guessing Attacks with Device Cookies". A token names the device and
the account, and is bound to the hash of the account's password, so it expires with that. It grants
nothing: it only decides under what an attempt is counted.

The form is `dt_` and 108 characters of base64url: version, user id, expiry, device id, fingerprint
and HMAC-SHA-256. It is no JWT, and every token has exactly one spelling.
"""

import base64
import hmac
import re
import secrets as random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from project.security.derivation import derived_key, mac

LABEL = "users device token"
FINGERPRINT_LABEL = "users device token fingerprint"
VERSION = 1
FORM = re.compile(r"dt_([A-Za-z0-9_-]{108})", re.ASCII)
FIELDS = struct.Struct(">BQQ16s16s")
"""49 bytes; with the MAC's 32 they are 81, a multiple of three: base64url has no unused bit."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device at an account."""

    user_id: int
    fingerprint: bytes
    """Of the hash of the account's password."""
    expires_at: datetime
    id: bytes = field(default_factory=lambda: random.token_bytes(16))


def encode(device: Device, secret: str) -> str:
    """Return the signed token of a device."""
    expiry = int(device.expires_at.timestamp())
    signed = FIELDS.pack(VERSION, device.user_id, expiry, device.id, device.fingerprint)
    token = signed + mac(derived_key(secret, LABEL), signed)
    return f"dt_{base64.urlsafe_b64encode(token).decode()}"


def decode(token: str, secrets: Sequence[str], now: datetime) -> Device | None:
    """Return the device of a token that one of the secrets has signed; None for any other text."""
    form = FORM.fullmatch(token)
    if form is None:
        return None
    raw = base64.urlsafe_b64decode(form[1])
    signed, signature = raw[: FIELDS.size], raw[FIELDS.size :]
    if not any(_is_signed(signed, signature, secret) for secret in secrets):
        return None
    version, user_id, expiry, device_id, fingerprint = FIELDS.unpack(signed)
    if version != VERSION or expiry <= now.timestamp():
        return None
    return Device(user_id, fingerprint, datetime.fromtimestamp(expiry, UTC), device_id)


def fingerprint(kept_hash: str, secret: str) -> bytes:
    """Return what a token keeps of the hash of a password: 16 bytes that reveal nothing of it."""
    return mac(derived_key(secret, FINGERPRINT_LABEL), kept_hash.encode())[:16]


def _is_signed(signed: bytes, signature: bytes, secret: str) -> bool:
    return hmac.compare_digest(mac(derived_key(secret, LABEL), signed), signature)
