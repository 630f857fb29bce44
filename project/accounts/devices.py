"""Device tokens, which identify devices that have logged in to an account."""

from collections.abc import Sequence
from datetime import timedelta
from hmac import compare_digest

from flask import current_app

from project.clock import utcnow
from project.security import device_tokens
from project.security.device_tokens import Device

TOKEN_LIFETIME = timedelta(days=365)


def recognize(token: str | None, user_id: int, password_hash: str) -> Device | None:
    """Return the device of a device token, or None if the token is not valid for this account.

    A token is invalid if it is absent, malformed, forged, expired, of another account, or older
    than the account's password.
    """
    device = device_tokens.decode(token or "", _secrets(), utcnow())
    if device is None or device.user_id != user_id:
        return None
    return device if _is_bound(device, password_hash) else None


def issue(user_id: int, password_hash: str, device: Device | None = None) -> str:
    """Return a device token for this account: of a new device, or renewed for a known one."""
    secret, expires_at = _secrets()[0], utcnow() + TOKEN_LIFETIME
    fingerprint = device_tokens.fingerprint(password_hash, secret)
    known_id = {} if device is None else {"id": device.id}
    return device_tokens.encode(Device(user_id, fingerprint, expires_at, **known_id), secret)


def _is_bound(device: Device, password_hash: str) -> bool:
    """Return whether the password is still the one for which the token was issued."""
    fingerprints = [device_tokens.fingerprint(password_hash, secret) for secret in _secrets()]
    return any(compare_digest(device.fingerprint, known) for known in fingerprints)


def _secrets() -> Sequence[str]:
    return [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]
