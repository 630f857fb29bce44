"""JSON Web Tokens (RFC 7519) behind a strict door.

A token says what it is for and must be whole: `sub` (the user's id, a string), `sid` (the session),
`jti`, `iat`, `exp` and `aud` (its purpose) are all required. The door checks form, header and
claims itself and leaves to PyJWT what PyJWT does well, the signature.

The exceptions:

    TokenRejected           not a whole token of ours for this purpose
    └── TokenOutdated       it was one, and its time has passed
"""

import base64
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID, uuid4

import jwt

from project.security import strict_json
from project.security.keys import Key

LONGEST_TOKEN = 2048
"""Characters; ours have about 330 to 450. What is longer is not looked at."""

# RFC 7515, section 7.1: three base64url segments, none of them empty.
COMPACT_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
USER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
HEX_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""A thumbprint by SHA-256 (RFC 7638)."""
MOST = 2**31 - 1
LATEST_TIME = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())


class TokenRejected(Exception):
    """The text is not a whole token of ours for the purpose that was asked."""


class TokenOutdated(TokenRejected):
    """The token is ours and whole, and its time has passed."""


class Purpose(StrEnum):
    """What a token is for; its `aud` claim."""

    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says, typed. The fresh `jti` makes each different from every other one."""

    user_id: int
    session_id: UUID
    purpose: Purpose
    issued_at: datetime
    expires_at: datetime
    generation: int | None = None
    """Of a refresh token alone: how often its session had been refreshed when it was made."""
    token_id: UUID = field(default_factory=uuid4)
    key_id: str | None = None
    """Of a token that was decoded alone: the `kid` of the key that signed it, where it has one."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says, and the key that has signed it."""

    key: Key
    claims: Claims


MOST_VERIFIED = 1024
"""Tokens that are remembered: about a megabyte."""

_verified: dict[str, Verified] = {}
"""Tokens that were verified before. Only that a key has signed a text is remembered, which stays
true; whether key, time and purpose are good, and the session is open, is asked each time."""


def encode(claims: Claims, key: Key) -> str:
    """Return the signed token in its compact form.

    A claim of time has whole seconds; `exp` is rounded up, so that a token lives no shorter than
    its client was told.
    """
    payload: dict[str, str | int] = {
        "sub": str(claims.user_id),
        "sid": claims.session_id.hex,
        "jti": claims.token_id.hex,
        "iat": int(claims.issued_at.timestamp()),
        "exp": math.ceil(claims.expires_at.timestamp()),
        "aud": claims.purpose.value,
    }
    if claims.generation is not None:
        payload["gen"] = claims.generation
    assert key.signing is not None
    return jwt.encode(payload, key.signing, key.algorithm.value, headers=key.header)


def decode(
    token: str,
    keys: Callable[[str | None], Sequence[Key]],
    purpose: Purpose,
    now: datetime,
) -> Claims:
    """Return the claims of a token signed by one of the keys, for the purpose and not expired.

    `keys` gives the keys by the `kid` of the token's header, or by None where it has none. The
    header must be the very one that the key's own tokens have, so that nothing in it is a choice
    of whoever made the token. Raises TokenRejected, or TokenOutdated for a token that was good
    until its `exp`.
    """
    known = _verified.get(token)
    if known is None or known.key not in keys(known.claims.key_id):
        known = _verify(token, keys)
        _keep(token, known)
    claims = known.claims
    if claims.purpose is not purpose:
        raise TokenRejected("the token is for something else")
    if claims.expires_at <= now:
        raise TokenOutdated("the token has expired")
    return claims


def _verify(token: str, keys: Callable[[str | None], Sequence[Key]]) -> Verified:
    header, payload, signature = _open(token)
    key_id = _key_id(header)
    signed = token.rpartition(".")[0].encode("ascii")
    for key in keys(key_id):
        if header == key.header and key.verifies(signature, signed):
            return Verified(key, _typed(payload, key_id))
    raise TokenRejected("neither header nor signature are ours")


def _keep(token: str, verified: Verified) -> None:
    if len(_verified) >= MOST_VERIFIED:
        _verified.clear()
    _verified[token] = verified


def _key_id(header: object) -> str | None:
    if not isinstance(header, dict):
        raise TokenRejected("the header is not an object")
    return _text(header, "kid", KEY_ID) if "kid" in header else None


def _open(token: str) -> tuple[object, object, bytes]:
    """Return header, payload and signature of a token in canonical compact form.

    Nothing of it is believed yet.
    """
    form = COMPACT_FORM.fullmatch(token) if len(token) <= LONGEST_TOKEN else None
    if form is None:
        raise TokenRejected("not the compact form")
    try:
        header, payload, signature = (_canonical(segment) for segment in form.groups())
        return strict_json.loads(header), strict_json.loads(payload), signature
    except ValueError as error:
        raise TokenRejected("not the compact form") from error


def _canonical(segment: str) -> bytes:
    """Return a segment's bytes; raises ValueError for every spelling of them but one.

    The last character of a base64url text can have unused bits, so that one signature has several
    spellings (RFC 4648, section 3.5).
    """
    raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode("ascii"):
        raise ValueError("not canonical base64url")
    return raw


def _typed(payload: object, key_id: str | None) -> Claims:
    """Return the claims of a payload that has all of them, each of its type."""
    if not isinstance(payload, dict):
        raise TokenRejected("the payload is not an object")
    purpose = _purpose(payload)
    return Claims(
        user_id=int(_text(payload, "sub", USER_ID)),
        session_id=UUID(_text(payload, "sid", HEX_ID)),
        purpose=purpose,
        issued_at=datetime.fromtimestamp(_whole(payload, "iat", LATEST_TIME), UTC),
        expires_at=datetime.fromtimestamp(_whole(payload, "exp", LATEST_TIME), UTC),
        generation=_whole(payload, "gen", MOST) if purpose is Purpose.REFRESH else None,
        token_id=UUID(_text(payload, "jti", HEX_ID)),
        key_id=key_id,
    )


def _text(payload: dict[str, object], name: str, form: re.Pattern[str]) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not form.fullmatch(value):
        raise TokenRejected(f"{name} is missing or malformed")
    return value


def _whole(payload: dict[str, object], name: str, most: int) -> int:
    value = payload.get(name)
    # type() and not isinstance(): a JSON true is an int to Python.
    if type(value) is not int or not 0 <= value <= most:
        raise TokenRejected(f"{name} is missing or malformed")
    return value


def _purpose(payload: dict[str, object]) -> Purpose:
    try:
        return Purpose(payload.get("aud"))  # type: ignore[arg-type]  # refused below, whatever it is
    except ValueError as error:
        raise TokenRejected("aud is missing or unknown") from error
