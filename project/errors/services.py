"""Errors that the other services of the product get, which authenticate by a service token.

ServiceTokenInvalid         401 service_token_invalid
└── ClientSecretInvalid     401 service_token_invalid, by HTTP Basic
FormExpected                415 unsupported_media_type, where a form is expected
"""

from project.errors.authentication import Unauthorized
from project.errors.requests import UnsupportedMediaType


class ServiceTokenInvalid(Unauthorized):
    """The service token is none of those that are configured."""

    code = "service_token_invalid"
    message = "Invalid service token."


class ClientSecretInvalid(ServiceTokenInvalid):
    """The password of HTTP Basic is no service token (RFC 6749, section 5.2)."""

    def headers(self) -> dict[str, str]:
        """Return the challenge of the scheme that was used (RFC 7617, section 2)."""
        return {"WWW-Authenticate": 'Basic realm="users", charset="UTF-8"'}


class FormExpected(UnsupportedMediaType):
    """The body is neither a form nor JSON, where a form is expected."""

    message = "Unsupported media type. Send application/x-www-form-urlencoded."
