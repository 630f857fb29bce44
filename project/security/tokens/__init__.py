"""JSON Web Tokens (RFC 7519) and a strict parser for them.

The claims `sub` (the user's id, a string), `sid` (the session), `jti`, `iat`, `exp` and `aud` (the
token's purpose) are all required; `nbf` is optional. Other claims are ignored, since another
version of the service may have added them. The parser checks format, header and claims; PyJWT
verifies the signature.

The exceptions:

    TokenRejected           the token is not valid for this purpose
    └── TokenExpired        the token was valid until its `exp`
"""

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID, uuid4

import jwt

from project.security import strict_json
from project.security.signing_keys import ACCESS_TYPE, Key

MAX_TOKEN_LENGTH = 2048
"""In characters; longer tokens are rejected unparsed. The service's tokens have 330 to 450."""

# Three base64url segments, none of them empty (RFC 7515, section 7.1).
COMPACT_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
USER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
HEX_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""A SHA-256 thumbprint (RFC 7638)."""
MAX_GENERATION = 2**31 - 1
MAX_TIMESTAMP = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
MAX_CLOCK_SKEW = timedelta(seconds=60)
"""The maximum by which the clock of the issuing server may be ahead."""
CACHE_SIZE = 1024
"""Maximum number of cached tokens; they need about a megabyte."""
FIRST_PARTY = "first-party"
"""The `client_id` of every token with an issuer; it stands for all clients (RFC 9068, 2.2)."""


class TokenRejected(Exception):
    """The token is malformed, forged, incomplete or for another purpose."""


class TokenExpired(TokenRejected):
    """The token was valid and has expired."""


class Purpose(StrEnum):
    """The purpose of a token, its `aud` claim."""

    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True)
class Claims:
    """The typed claims of a token. A new `jti` makes each token unique."""

    user_id: int
    session_id: UUID
    purpose: Purpose
    issued_at: datetime
    expires_at: datetime
    generation: int | None = None
    """Of a refresh token: how often its session had been refreshed when the token was issued."""
    token_id: UUID = field(default_factory=uuid4)
    key_id: str | None = None
    """Of a decoded token: the `kid` in its header, or None."""
    not_before: datetime | None = None
    """Of a decoded token; this version issues tokens without `nbf`."""


@dataclass(frozen=True, slots=True)
class Verified:
    """The claims of a token with a valid signature, and the key that signed it."""

    key: Key
    claims: Claims


@dataclass(frozen=True, slots=True)
class Unverified:
    """The parts of a token whose signature is not verified yet."""

    header: dict[str, object]
    payload: dict[str, object]
    signed: bytes
    signature: bytes
    key_id: str | None


class KeySource(Protocol):
    """Provides the keys that sign and verify tokens."""

    def signing_key(self, purpose: Purpose) -> Key:
        """Return the key that currently signs tokens for a purpose."""

    def verifying_keys(self, key_id: str | None, purpose: Purpose) -> Sequence[Key]:
        """Return the valid keys with this purpose and `kid`, for a token verified before."""

    def keys_of(self, claims: Claims) -> Sequence[Key]:
        """Return the valid keys that may have signed an unverified token with these claims."""


def encode(claims: Claims, key: Key, issuer: str | None = None) -> str:
    """Return the signed token in compact form; an access token contains the issuer, if any.

    Timestamps are whole seconds. `exp` is rounded up, so that no token expires before the
    `expires_in` that its client received.
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
    header = key.header
    if issuer is not None and claims.purpose is Purpose.ACCESS:
        payload |= {"iss": issuer, "client_id": FIRST_PARTY}
        header["typ"] = ACCESS_TYPE
    assert key.signing is not None
    return jwt.encode(payload, key.signing, key.algorithm.value, headers=header)


class TokenDecoder:
    """Decodes the tokens of one app, and caches verified signatures.

    The cache holds which key signed a token, which never changes. Each call checks the time, the
    purpose, and that the key is still valid. If the app has an issuer, a token with an issuer must
    have the same one.
    """

    def __init__(self, keys: KeySource, issuer: str | None = None) -> None:
        self._keys = keys
        self._issuer = issuer
        self._cache: dict[str, Verified] = {}

    def decode(self, token: str, purpose: Purpose, now: datetime) -> Claims:
        """Return the claims of a valid token for a purpose.

        The header must be exactly one that the key produces, so that a forger cannot choose
        any part. Raises TokenRejected, or TokenExpired for a token that was valid until its `exp`.
        """
        verified = self._cache.get(token)
        if verified is None or verified.key not in self._keys.verifying_keys(
            verified.claims.key_id, purpose
        ):
            verified = self._verify(token, purpose)
            self._store(token, verified)
        claims = verified.claims
        if claims.purpose is not purpose:
            raise TokenRejected("the token has another purpose")
        _check_time(claims, now)
        return claims

    def _verify(self, token: str, purpose: Purpose) -> Verified:
        parts = _parse(token)
        claims = _parse_claims(parts)
        if claims.purpose is not purpose:
            raise TokenRejected("the token has another purpose")
        self._check_issuer(parts)
        for key in self._keys.keys_of(claims):
            if key.accepts_header(parts.header) and key.verifies(parts.signature, parts.signed):
                return Verified(key, claims)
        raise TokenRejected("the header or signature is not valid")

    def _check_issuer(self, parts: Unverified) -> None:
        """Raise TokenRejected if the token names another issuer; a token may name none."""
        issuer = parts.payload.get("iss")
        if parts.header.get("typ") == ACCESS_TYPE and not isinstance(issuer, str):
            raise TokenRejected("iss is missing")
        if self._issuer is not None and "iss" in parts.payload and issuer != self._issuer:
            raise TokenRejected("iss names another issuer")

    def _store(self, token: str, verified: Verified) -> None:
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        self._cache[token] = verified


def _check_time(claims: Claims, now: datetime) -> None:
    if claims.issued_at > now + MAX_CLOCK_SKEW:
        raise TokenRejected("iat is in the future")
    if claims.not_before is not None and claims.not_before > now:
        raise TokenRejected("nbf is in the future")
    if claims.expires_at <= now:
        raise TokenExpired("the token has expired")


def _parse(token: str) -> Unverified:
    """Return the parts of a token. Raises TokenRejected unless it has canonical compact form."""
    match = COMPACT_FORM.fullmatch(token) if len(token) <= MAX_TOKEN_LENGTH else None
    if match is None:
        raise TokenRejected("the token is not in canonical compact form")
    try:
        raw_header, raw_payload, signature = (
            _decode_segment(segment) for segment in match.groups()
        )
        header, payload = strict_json.loads(raw_header), strict_json.loads(raw_payload)
    except ValueError as error:
        raise TokenRejected("the token is not in canonical compact form") from error
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise TokenRejected("the header or payload is not an object")
    key_id = _string(header, "kid", KEY_ID) if "kid" in header else None
    return Unverified(header, payload, token.rpartition(".")[0].encode("ascii"), signature, key_id)


def _decode_segment(segment: str) -> bytes:
    """Return the bytes of a segment. Raises ValueError if it is not their canonical encoding.

    The last character of a base64url string can have unused bits, so the same bytes have several
    encodings (RFC 4648, section 3.5).
    """
    raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode("ascii"):
        raise ValueError("not canonical base64url")
    return raw


def _parse_claims(parts: Unverified) -> Claims:
    """Return the typed claims. Raises TokenRejected if one is missing or has the wrong type."""
    payload = parts.payload
    purpose = _purpose(payload)
    if parts.header.get("typ") == ACCESS_TYPE and purpose is not Purpose.ACCESS:
        raise TokenRejected("typ and aud differ")
    claims = Claims(
        user_id=int(_string(payload, "sub", USER_ID)),
        session_id=UUID(_string(payload, "sid", HEX_ID)),
        purpose=purpose,
        issued_at=_timestamp(payload, "iat"),
        expires_at=_timestamp(payload, "exp"),
        generation=_integer(payload, "gen", MAX_GENERATION) if purpose is Purpose.REFRESH else None,
        token_id=UUID(_string(payload, "jti", HEX_ID)),
        key_id=parts.key_id,
        not_before=_timestamp(payload, "nbf") if "nbf" in payload else None,
    )
    if claims.issued_at > claims.expires_at:
        raise TokenRejected("iat is after exp")
    return claims


def _timestamp(payload: dict[str, object], name: str) -> datetime:
    return datetime.fromtimestamp(_integer(payload, name, MAX_TIMESTAMP), UTC)


def _string(payload: dict[str, object], name: str, pattern: re.Pattern[str]) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise TokenRejected(f"{name} is missing or malformed")
    return value


def _integer(payload: dict[str, object], name: str, maximum: int) -> int:
    value = payload.get(name)
    # type() instead of isinstance(): the JSON value true is an int in Python.
    if type(value) is not int or not 0 <= value <= maximum:
        raise TokenRejected(f"{name} is missing or malformed")
    return value


def _purpose(payload: dict[str, object]) -> Purpose:
    try:
        return Purpose(payload.get("aud"))  # type: ignore[arg-type]  # other types are rejected below
    except ValueError as error:
        raise TokenRejected("aud is missing or unknown") from error
