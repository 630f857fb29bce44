"""Decorators that authenticate and authorize the caller of a view."""

import base64
from collections.abc import Callable
from functools import wraps
from hmac import compare_digest
from typing import Any
from urllib.parse import unquote_plus

from flask import current_app, g, request

from project.accounts import reauthentication, sessions, throttle
from project.accounts.sessions import Principal
from project.api.actor import actor, set_user
from project.api.schemas import ServiceForm
from project.errors import (
    ClientSecretInvalid,
    NotPermitted,
    ReauthenticationRequired,
    ServiceTokenInvalid,
    SessionEnded,
    TokenBlank,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    TooManyAttempts,
    Unavailable,
    UserInactive,
)
from project.http.contract import View, accepts_form, describe
from project.security import digests

TOKEN_ERRORS = (TokenInvalid, TokenExpired, SessionEnded, UserInactive, Unavailable)
SERVICE_ERRORS = (TokenMissing, ServiceTokenInvalid, Unavailable)
SERVICE_SCHEMES = ("service_token", "client_secret_basic")


def authenticate(missing: type[TokenMissing] = TokenMissing) -> Callable[[View], View]:
    """Pass the caller's principal to the view; raise `missing` without an Authorization header."""

    def decorate(view: View) -> View:
        @wraps(view)
        def authenticated(*args: Any, **kwargs: Any) -> Any:
            return view(_authenticate(missing), *args, **kwargs)

        return describe(authenticated, (missing, *TOKEN_ERRORS), security_schemes=("auth_token",))

    return decorate


def authenticate_recently(view: View) -> View:
    """Pass the caller's principal to the view, if the user has authenticated recently."""

    @wraps(view)
    def authenticated(principal: Principal, *args: Any, **kwargs: Any) -> Any:
        reauthentication.check_recent(principal)
        return view(principal, *args, **kwargs)

    return authenticate()(describe(authenticated, (ReauthenticationRequired,)))


def authenticate_if_sent(view: View) -> View:
    """Pass the caller's principal to the view, or None where there is no Authorization header."""

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        caller = _authenticate() if "Authorization" in request.headers else None
        return view(caller, *args, **kwargs)

    return describe(admitted, (TokenMissing, *TOKEN_ERRORS), security_schemes=("auth_token",))


def require_admin(view: View) -> View:
    """Allow only administrators to call the view."""

    @wraps(view)
    def administered(*args: Any, **kwargs: Any) -> Any:
        if not _authenticate().admin:
            raise NotPermitted
        return view(*args, **kwargs)

    return describe(
        administered, (TokenMissing, *TOKEN_ERRORS, NotPermitted), security_schemes=("auth_token",)
    )


def require_admin_write(view: View) -> View:
    """Allow only administrators to call the view, and count the request as a write."""

    @wraps(view)
    def counted(*args: Any, **kwargs: Any) -> Any:
        administrator = actor()
        throttle.count_write(administrator.user_id or 0, administrator)
        return view(*args, **kwargs)

    return require_admin(describe(counted, (TooManyAttempts,)))


def authenticate_unless_public(view: View) -> View:
    """Pass the caller's principal to the view, or None where USERS_PUBLIC is set."""

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        caller = None if current_app.config["USERS_PUBLIC"] else _authenticate()
        return view(caller, *args, **kwargs)

    return describe(
        admitted,
        (TokenMissing, *TOKEN_ERRORS, NotPermitted),
        security_schemes=("auth_token",),
        public_setting="USERS_PUBLIC",
    )


def authenticate_service(view: View) -> View:
    """Allow only services with one of SERVICE_TOKENS to call the view."""
    served = _authenticate_by("SERVICE_TOKENS", view)
    return describe(served, SERVICE_ERRORS, security_schemes=SERVICE_SCHEMES)


def accepts_from_service(model: type[ServiceForm]) -> Callable[[View], View]:
    """Allow only services to call the view, and pass it their form, parsed as this model.

    A service authenticates by the Authorization header, which is checked before the form is read,
    or by `client_secret` in the form (RFC 6749, section 2.3.1).
    """

    def decorate(view: View) -> View:
        @accepts_form(model)
        @wraps(view)
        def read(payload: ServiceForm) -> Any:
            if "Authorization" not in request.headers:
                _check_form_secret(payload)
            return view(payload)

        by_header = _authenticate_by("SERVICE_TOKENS", read)

        @wraps(read)
        def authenticated() -> Any:
            return by_header() if "Authorization" in request.headers else read()

        return describe(authenticated, SERVICE_ERRORS, security_schemes=SERVICE_SCHEMES)

    return decorate


def authenticate_scraper(view: View) -> View:
    """Allow only callers with METRICS_TOKEN, such as Prometheus, to call the view."""
    scraped = _authenticate_by("METRICS_TOKEN", view)
    return describe(
        scraped, (TokenMissing, ServiceTokenInvalid), security_schemes=("service_token",)
    )


def _authenticate_by(setting: str, view: View) -> View:
    """Allow only callers with one of the setting's tokens to call the view.

    The setting lists digests. The token is sent as a bearer token or as the password of HTTP Basic.
    """

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        if basic := _basic_credentials(request.headers.get("Authorization", "")):
            g.client_id, secret = basic
            _check_token(secret, setting, ClientSecretInvalid)
        else:
            _check_token(_service_token(), setting)
        return view(*args, **kwargs)

    return admitted


def _basic_credentials(header: str) -> tuple[str, str] | None:
    """Return the client id and secret of HTTP Basic (RFC 7617), or None for another scheme.

    Werkzeug's own parser raises ValueError for a non-ASCII character.
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
    # Each is form-encoded before they are joined (RFC 6749, section 2.3.1).
    return unquote_plus(name), unquote_plus(secret)


def _check_form_secret(payload: ServiceForm) -> None:
    if payload.client_secret is None:
        raise TokenMissing
    g.client_id = payload.client_id
    _check_token(payload.client_secret, "SERVICE_TOKENS")


def _check_token(
    token: str, setting: str, error: type[ServiceTokenInvalid] = ServiceTokenInvalid
) -> None:
    digest = digests.sha256(token)
    if not any(compare_digest(digest, known) for known in current_app.config[setting]):
        raise error


def _service_token() -> str:
    try:
        return _bearer_token(TokenMissing)
    except TokenBlank:
        raise ServiceTokenInvalid from None


def _authenticate(missing: type[TokenMissing] = TokenMissing) -> Principal:
    principal = sessions.identify(_bearer_token(missing))
    set_user(principal.id, principal.session_id)
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
