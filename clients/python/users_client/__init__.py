"""Verify access tokens of the users service in another service."""

from users_client.errors import (
    NotPermitted,
    ServiceTokenRejected,
    ServiceUnavailable,
    TokenRejected,
    VerifierError,
)
from users_client.tokens import Principal, UserPrincipal
from users_client.verifier import Verifier, bearer_token

__all__ = [
    "NotPermitted",
    "Principal",
    "ServiceTokenRejected",
    "ServiceUnavailable",
    "TokenRejected",
    "UserPrincipal",
    "Verifier",
    "VerifierError",
    "bearer_token",
]
