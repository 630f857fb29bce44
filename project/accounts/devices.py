"""The devices from which an account has been logged in to."""

from collections.abc import Sequence
from datetime import timedelta
from hmac import compare_digest

from flask import current_app

from project.clock import utcnow
from project.security import device_tokens
from project.security.device_tokens import Device

TOKEN_LIFETIME = timedelta(days=365)


def recognize(token: str | None, user_id: int, kept_hash: str) -> Device | None:
    """Return the device that a token names, if the token is valid at this account.

    None for a token that is absent, malformed, forged, expired, another account's, or older than
    the account's password.
    """
    device = device_tokens.decode(token or "", _secrets(), utcnow())
    if device is None or device.user_id != user_id:
        return None
    return device if _is_bound(device, kept_hash) else None


def issue(user_id: int, kept_hash: str, device: Device | None = None) -> str:
    """Return a token for a new device at an account, or a newer one for a device that has one."""
    secret, expires_at = _secrets()[0], utcnow() + TOKEN_LIFETIME
    fingerprint = device_tokens.fingerprint(kept_hash, secret)
    identified = {} if device is None else {"id": device.id}
    return device_tokens.encode(Device(user_id, fingerprint, expires_at, **identified), secret)


def _is_bound(device: Device, kept_hash: str) -> bool:
    """Return whether the account has the password that it had when the token was issued."""
    fingerprints = [device_tokens.fingerprint(kept_hash, secret) for secret in _secrets()]
    return any(compare_digest(device.fingerprint, known) for known in fingerprints)


def _secrets() -> Sequence[str]:
    return [current_app.config["SECRET_KEY"], *current_app.config["SECRET_KEY_FALLBACKS"]]
