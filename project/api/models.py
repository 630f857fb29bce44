"""The models under the path by which users of the package import them."""

from project.models import (
    AuditEvent,
    KnownNetwork,
    Revocation,
    SecretFingerprint,
    Session,
    SigningKey,
    Throttle,
    User,
)

__all__ = [
    "AuditEvent",
    "KnownNetwork",
    "Revocation",
    "SecretFingerprint",
    "Session",
    "SigningKey",
    "Throttle",
    "User",
]
