"""Verifies the tokens of the users service, in the services that are shown them."""

from users_client.errors import (
    NotPermitted,
    ServiceTokenRejected,
    ServiceUnavailable,
    TokenRefused,
    VerifierError,
)
from users_client.tokens import Principal, UserPrincipal
from users_client.verifier import Verifier, bearer_token

__all__ = [
    "NotPermitted",
    "Principal",
    "ServiceTokenRejected",
    "ServiceUnavailable",
    "TokenRefused",
    "UserPrincipal",
    "Verifier",
    "VerifierError",
    "bearer_token",
]
