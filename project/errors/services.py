"""Errors of the routes for other services, which authenticate by a service token."""

from project.errors.authentication import Unauthorized
from project.errors.requests import UnsupportedMediaType


class ServiceTokenInvalid(Unauthorized):
    """The service token is not one of the configured tokens."""

    code = "service_token_invalid"
    message = "Invalid service token."


class ClientSecretInvalid(ServiceTokenInvalid):
    """The password of HTTP Basic is not a service token (RFC 6749, section 5.2)."""

    def headers(self) -> dict[str, str]:
        """Return a challenge of HTTP Basic (RFC 7617, section 2)."""
        return {"WWW-Authenticate": 'Basic realm="users", charset="UTF-8"'}


class FormExpected(UnsupportedMediaType):
    """The body is neither a form nor JSON."""

    message = "Unsupported media type. Send application/x-www-form-urlencoded."
