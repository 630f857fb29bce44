"""Who may call a view."""

import base64
from collections.abc import Callable
from functools import wraps
from hmac import compare_digest
from typing import Any
from urllib.parse import unquote_plus

from flask import current_app, g, request

from project.accounts import sessions
from project.accounts.sessions import Principal
from project.api.actor import identified
from project.api.schemas import ServiceForm
from project.errors import (
    ClientSecretInvalid,
    NotPermitted,
    ServiceTokenInvalid,
    SessionEnded,
    TokenBlank,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unavailable,
    UserInactive,
)
from project.http.contract import View, accepts_form, describe
from project.security import digests

TOKEN_ERRORS = (TokenInvalid, TokenExpired, SessionEnded, UserInactive, Unavailable)
SERVICE_ERRORS = (TokenMissing, ServiceTokenInvalid, Unavailable)
SERVICE_SCHEMES = ("service_token", "client_secret_basic")


def authenticate(missing: type[TokenMissing] = TokenMissing) -> Callable[[View], View]:
    """Pass the caller's identity to the view; `missing` is raised where there is no header."""

    def decorate(view: View) -> View:
        @wraps(view)
        def authenticated(*args: Any, **kwargs: Any) -> Any:
            return view(_identify(missing), *args, **kwargs)

        return describe(authenticated, (missing, *TOKEN_ERRORS), secured=("auth_token",))

    return decorate


def authenticate_if_sent(view: View) -> View:
    """Pass the caller's principal to the view, or None where there is no Authorization header."""

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        caller = _identify() if "Authorization" in request.headers else None
        return view(caller, *args, **kwargs)

    return describe(admitted, (TokenMissing, *TOKEN_ERRORS), secured=("auth_token",))


def require_admin(view: View) -> View:
    """Let administrators alone call the view."""

    @wraps(view)
    def administered(*args: Any, **kwargs: Any) -> Any:
        if not _identify().admin:
            raise NotPermitted
        return view(*args, **kwargs)

    return describe(
        administered, (TokenMissing, *TOKEN_ERRORS, NotPermitted), secured=("auth_token",)
    )


def authenticate_unless_public(view: View) -> View:
    """Pass the caller's identity to the view, or None where USERS_PUBLIC lets everybody in."""

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        caller = None if current_app.config["USERS_PUBLIC"] else _identify()
        return view(caller, *args, **kwargs)

    return describe(
        admitted,
        (TokenMissing, *TOKEN_ERRORS, NotPermitted),
        secured=("auth_token",),
        public_where="USERS_PUBLIC",
    )


def authenticate_service(view: View) -> View:
    """Let other services of the product alone call the view, by one of SERVICE_TOKENS."""
    served = _authenticate_by("SERVICE_TOKENS", view)
    return describe(served, SERVICE_ERRORS, secured=SERVICE_SCHEMES)


def accepts_from_service(model: type[ServiceForm]) -> Callable[[View], View]:
    """Pass a form of another service to the view, which alone may call it.

    The service authenticates by the Authorization header, which is checked before the form is read,
    or by `client_secret` in the form (RFC 6749, section 2.3.1).
    """

    def decorate(view: View) -> View:
        @accepts_form(model)
        @wraps(view)
        def read(payload: ServiceForm) -> Any:
            if "Authorization" not in request.headers:
                _admit_by_form(payload)
            return view(payload)

        by_header = _authenticate_by("SERVICE_TOKENS", read)

        @wraps(read)
        def authenticated() -> Any:
            return by_header() if "Authorization" in request.headers else read()

        return describe(authenticated, SERVICE_ERRORS, secured=SERVICE_SCHEMES)

    return decorate


def authenticate_scraper(view: View) -> View:
    """Let Prometheus alone call the view, by METRICS_TOKEN."""
    scraped = _authenticate_by("METRICS_TOKEN", view)
    return describe(scraped, (TokenMissing, ServiceTokenInvalid), secured=("service_token",))


def _authenticate_by(setting: str, view: View) -> View:
    """Let those alone call the view whose token's digest the setting lists.

    The token comes as a bearer token, or as the password of HTTP Basic.
    """

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        if basic := _basic_credentials(request.headers.get("Authorization", "")):
            g.client_id, secret = basic
            _admit(secret, setting, ClientSecretInvalid)
        else:
            _admit(_service_token(), setting)
        return view(*args, **kwargs)

    return admitted


def _basic_credentials(header: str) -> tuple[str, str] | None:
    """Return client id and secret of HTTP Basic (RFC 7617), or None for another scheme.

    Werkzeug's own reader raises ValueError for a character that is not ASCII.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = (
            base64.b64decode(encoded.strip(" "), validate=True).decode().partition(":")
        )
    except ValueError:
        raise ClientSecretInvalid from None
    # Both are form-encoded before they are put together (RFC 6749, section 2.3.1).
    return unquote_plus(name), unquote_plus(secret)


def _admit_by_form(payload: ServiceForm) -> None:
    if payload.client_secret is None:
        raise TokenMissing
    g.client_id = payload.client_id
    _admit(payload.client_secret, "SERVICE_TOKENS")


def _admit(
    shown: str, setting: str, error: type[ServiceTokenInvalid] = ServiceTokenInvalid
) -> None:
    digest = digests.sha256(shown)
    if not any(compare_digest(digest, known) for known in current_app.config[setting]):
        raise error


def _service_token() -> str:
    try:
        return _bearer_token(TokenMissing)
    except TokenBlank:
        raise ServiceTokenInvalid from None


def _identify(missing: type[TokenMissing] = TokenMissing) -> Principal:
    principal = sessions.identify(_bearer_token(missing))
    identified(principal.id, principal.session_id)
    return principal


def _bearer_token(missing: type[TokenMissing]) -> str:
    """Return the request's bearer token (RFC 6750, section 2.1)."""
    header = request.headers.get("Authorization")
    if header is None:
        raise missing
    scheme, _, token = header.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenBlank
    return token
