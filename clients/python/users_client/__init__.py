"""Verifies the tokens of the users service, in the services that are shown them."""

from users_client.errors import ServiceUnavailable, TokenRefused, VerifierError
from users_client.tokens import Identity
from users_client.verifier import Verifier

__all__ = ["Identity", "ServiceUnavailable", "TokenRefused", "Verifier", "VerifierError"]
