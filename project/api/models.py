"""The models, re-exported for users of the package."""

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
