"""JSON Web Tokens (RFC 7519) behind the same strict door as the service's own.

A token is read first, which believes nothing, and then decided on: by its signature here, or by the
service.
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from users_client import strict_json
from users_client.errors import TokenRefused

LONGEST_TOKEN = 2048
"""Characters; the service's have about 400. What is longer is not looked at."""

PURPOSE = "access"
PUBLIC_ALGORITHMS = frozenset({"ES256", "EdDSA"})
SECRET_HEADER = {"alg": "HS256", "typ": "JWT"}
"""Of a token that the service signed with its secret: the service alone can verify it."""

# RFC 7515, section 7.1: three base64url segments, none of them empty.
COMPACT_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
USER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
HEX_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
LATEST_TIME = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose a token is, and in which session."""

    user_id: int
    session_id: str
    token_id: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Reading:
    """What a token says of itself, typed and not yet believed."""

    identity: Identity
    key_id: str | None
    """None where the service signed with its secret."""


def read(token: str) -> Reading:
    """Return what an access token in canonical compact form says.

    Raises TokenRefused for any other form, header or claim.
    """
    form = COMPACT_FORM.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    if form is None:
        raise _invalid("not the compact form")
    try:
        header, payload, _signature = (_canonical(segment) for segment in form.groups())
        key_id = _key_id(strict_json.loads(header))
        return Reading(_identity(strict_json.loads(payload)), key_id)
    except ValueError:
        raise _invalid("not the compact form") from None


def _invalid(reason: str) -> TokenRefused:
    return TokenRefused("token_invalid", reason)


def _canonical(segment: str) -> bytes:
    """Return a segment's bytes; raises ValueError for every spelling of them but one.

    The last character of a base64url text can have unused bits, so that one signature has several
    spellings (RFC 4648, section 3.5).
    """
    raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode("ascii"):
        raise ValueError("not canonical base64url")
    return raw


def _key_id(header: object) -> str | None:
    """Return the key's id of a header that is one of the service's two; None of the secret's."""
    if header == SECRET_HEADER:
        return None
    if not isinstance(header, dict) or header.keys() != {"alg", "typ", "kid"}:
        raise _invalid("the header is not the service's")
    algorithm, key_id = header["alg"], header["kid"]
    if header["typ"] != "JWT" or not isinstance(algorithm, str) or not isinstance(key_id, str):
        raise _invalid("the header is not the service's")
    if algorithm not in PUBLIC_ALGORITHMS or not KEY_ID.fullmatch(key_id):
        raise _invalid("the header is not the service's")
    return key_id


def _identity(payload: object) -> Identity:
    """Return the identity of a payload that has every claim, each of its type."""
    if not isinstance(payload, dict):
        raise _invalid("the payload is not an object")
    if payload.get("aud") != PURPOSE:
        raise _invalid("the token is for something else")
    return Identity(
        user_id=int(_text(payload, "sub", USER_ID)),
        session_id=_text(payload, "sid", HEX_ID),
        token_id=_text(payload, "jti", HEX_ID),
        issued_at=_moment(payload, "iat"),
        expires_at=_moment(payload, "exp"),
    )


def _text(payload: dict[str, object], name: str, form: re.Pattern[str]) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise _invalid(f"{name} is missing or malformed")
    return value


def _moment(payload: dict[str, object], name: str) -> datetime:
    value = payload.get(name)
    # type() and not isinstance(): a JSON true is an int to Python.
    if type(value) is not int or not 0 <= value <= LATEST_TIME:
        raise _invalid(f"{name} is missing or malformed")
    return datetime.fromtimestamp(value, UTC)
