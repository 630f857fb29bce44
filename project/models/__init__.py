"""The tables: one module for each group of related tables."""

from project.models.audit_event import AuditEvent
from project.models.one_time_token import OneTimeToken
from project.models.outbox import Outbox, Outcome
from project.models.reserved_username import ReservedUsername
from project.models.secret_fingerprint import SecretFingerprint
from project.models.session import Revocation, Session
from project.models.signing_key import SigningKey
from project.models.throttle import KnownNetwork, Throttle
from project.models.user import User

__all__ = [
    "AuditEvent",
    "KnownNetwork",
    "OneTimeToken",
    "Outbox",
    "Outcome",
    "ReservedUsername",
    "Revocation",
    "SecretFingerprint",
    "Session",
    "SigningKey",
    "Throttle",
    "User",
]
