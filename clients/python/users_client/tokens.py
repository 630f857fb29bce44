"""A strict parser for JSON Web Tokens (RFC 7519), as in the users service itself.

The parser trusts no part of a token. The verifier then checks the signature, or sends the token to
the service.
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from users_client import strict_json
from users_client.errors import TokenRejected

MAX_TOKEN_LENGTH = 2048
"""Characters. Longer tokens are rejected unread; the service's have about 400."""

PURPOSE = "access"
SECRET_ALGORITHM = "HS256"
"""Signed with the service's secret: only the service can verify it."""
PUBLIC_ALGORITHMS = frozenset({"ES256", "EdDSA"})
ALGORITHMS = PUBLIC_ALGORITHMS | {SECRET_ALGORITHM}
ISSUER_TYPE = "at+jwt"
"""The `typ` of a token that names its issuer (RFC 9068, section 2.1)."""
TYPES = frozenset({"JWT", ISSUER_TYPE})
MAX_CLOCK_SKEW = timedelta(seconds=60)
"""Maximum by which the service's clock may be ahead."""

# RFC 7515, section 7.1: three base64url segments, none of them empty.
COMPACT_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
USER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
HEX_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
MAX_TIME = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated user and session, from the token."""

    user_id: int
    session_id: str
    token_id: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UserPrincipal(Principal):
    """The principal with the user's current name, e-mail address and rights."""

    username: str
    email: str
    admin: bool


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """The contents of a token, typed but not verified."""

    principal: Principal
    algorithm: str
    key_id: str | None
    """None for HS256."""
    not_before: datetime | None

    def check_time(self, now: datetime) -> None:
        """Raise TokenRejected if the token is expired or not valid yet."""
        if self.principal.issued_at > now + MAX_CLOCK_SKEW:
            raise _invalid("iat is in the future")
        if self.not_before is not None and self.not_before > now:
            raise _invalid("nbf is in the future")
        if self.principal.expires_at <= now:
            raise TokenRejected("token_expired")


def parse(token: str) -> ParsedToken:
    """Parse an access token in canonical compact form.

    Raises TokenRejected for any other form, header or claim.
    """
    form = COMPACT_FORM.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if form is None:
        raise _invalid("not the compact form")
    try:
        header, payload, _signature = (_canonical(segment) for segment in form.groups())
        head, claims = strict_json.loads(header), strict_json.loads(payload)
    except ValueError:
        raise _invalid("not the compact form") from None
    if not isinstance(head, dict) or not isinstance(claims, dict):
        raise _invalid("header or payload is not an object")
    algorithm, key_id = _key(head)
    if head["typ"] == ISSUER_TYPE and not isinstance(claims.get("iss"), str):
        raise _invalid("iss is missing")
    not_before = _time(claims, "nbf") if "nbf" in claims else None
    return ParsedToken(_principal(claims), algorithm, key_id, not_before)


def _invalid(reason: str) -> TokenRejected:
    return TokenRejected("token_invalid", reason)


def _canonical(segment: str) -> bytes:
    """Decode a segment. Raises ValueError unless its spelling is canonical.

    The last character of a base64url text can have unused bits, so one signature has several
    spellings (RFC 4648, section 3.5).
    """
    raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode("ascii"):
        raise ValueError("not canonical base64url")
    return raw


def _key(header: dict[str, object]) -> tuple[str, str | None]:
    """Return algorithm and key id of a header of the service's form; HS256 has no id."""
    algorithm, kind, key_id = header.get("alg"), header.get("typ"), header.get("kid")
    if not isinstance(kind, str) or kind not in TYPES:
        raise _invalid("the header is not the service's")
    if algorithm == SECRET_ALGORITHM and header.keys() == {"alg", "typ"}:
        return SECRET_ALGORITHM, None
    if not isinstance(algorithm, str) or not isinstance(key_id, str) or len(header) > 3:
        raise _invalid("the header is not the service's")
    if algorithm not in PUBLIC_ALGORITHMS or not KEY_ID.fullmatch(key_id):
        raise _invalid("the header is not the service's")
    return algorithm, key_id


def _principal(payload: dict[str, object]) -> Principal:
    """Return the principal of a payload. Raises TokenRejected for a malformed claim."""
    if payload.get("aud") != PURPOSE:
        raise _invalid("the audience is not access")
    principal = Principal(
        user_id=int(_text(payload, "sub", USER_ID)),
        session_id=_text(payload, "sid", HEX_ID),
        token_id=_text(payload, "jti", HEX_ID),
        issued_at=_time(payload, "iat"),
        expires_at=_time(payload, "exp"),
    )
    if principal.issued_at > principal.expires_at:
        raise _invalid("iat is after exp")
    return principal


def _text(payload: dict[str, object], name: str, form: re.Pattern[str]) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _invalid(f"{name} is missing or malformed")
    return value


def _time(payload: dict[str, object], name: str) -> datetime:
    value = payload.get(name)
    # type() and not isinstance(): a JSON true is an int to Python.
    if type(value) is not int or not 0 <= value <= MAX_TIME:
        raise _invalid(f"{name} is missing or malformed")
    return datetime.fromtimestamp(value, UTC)
