"""Who may call a view."""

from collections.abc import Callable
from functools import wraps
from hmac import compare_digest
from typing import Any

from flask import current_app, request

from project.accounts import sessions
from project.accounts.sessions import Identity
from project.api.client import identified
from project.api.contract import View, describe
from project.errors import (
    NotPermitted,
    SessionEnded,
    TokenBlank,
    TokenExpired,
    TokenInvalid,
    TokenMissing,
    Unavailable,
    UserInactive,
)
from project.security import hashing

TOKEN_REFUSALS = (TokenInvalid, TokenExpired, SessionEnded, UserInactive, Unavailable)


def authenticate(missing: type[TokenMissing] = TokenMissing) -> Callable[[View], View]:
    """Pass the caller's identity to the view; `missing` is raised where there is no header."""

    def decorate(view: View) -> View:
        @wraps(view)
        def authenticated(*args: Any, **kwargs: Any) -> Any:
            return view(_identify(missing), *args, **kwargs)

        return describe(authenticated, (missing, *TOKEN_REFUSALS), secured="auth_token")

    return decorate


def require_admin(view: View) -> View:
    """Let administrators alone call the view."""

    @wraps(view)
    def administered(*args: Any, **kwargs: Any) -> Any:
        if not _identify().admin:
            raise NotPermitted
        return view(*args, **kwargs)

    return describe(
        administered, (TokenMissing, *TOKEN_REFUSALS, NotPermitted), secured="auth_token"
    )


def authenticate_unless_public(view: View) -> View:
    """Pass the caller's identity to the view, or None where USERS_PUBLIC lets everybody in."""

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        caller = None if current_app.config["USERS_PUBLIC"] else _identify()
        return view(caller, *args, **kwargs)

    return describe(
        admitted,
        (TokenMissing, *TOKEN_REFUSALS, NotPermitted),
        secured="auth_token",
        public_where="USERS_PUBLIC",
    )


def authenticate_service(view: View) -> View:
    """Let other services of the product alone call the view, by one of SERVICE_TOKENS."""
    served = _authenticate_by("SERVICE_TOKENS", view)
    return describe(served, (TokenMissing, TokenInvalid, Unavailable), secured="service_token")


def authenticate_scraper(view: View) -> View:
    """Let Prometheus alone call the view, by METRICS_TOKEN."""
    scraped = _authenticate_by("METRICS_TOKEN", view)
    return describe(scraped, (TokenMissing, TokenInvalid), secured="service_token")


def _authenticate_by(setting: str, view: View) -> View:
    """Let those alone call the view who show a token whose digest the setting lists."""

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        shown = hashing.digest(_bearer_token(TokenMissing))
        if not any(compare_digest(shown, known) for known in current_app.config[setting]):
            raise TokenInvalid
        return view(*args, **kwargs)

    return admitted


def _identify(missing: type[TokenMissing] = TokenMissing) -> Identity:
    identity = sessions.identify(_bearer_token(missing))
    identified(identity.id, identity.session_id)
    return identity


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
