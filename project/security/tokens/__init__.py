"""JSON Web Tokens (RFC 7519) behind a strict door.

A token says what it is for and must be whole: `sub` (the user's id, a string), `sid` (the session),
`jti`, `iat`, `exp` and `aud` (its purpose) are all required; `nbf` counts where it is there. Other
claims are ignored, since another version of the service may have added them. The door checks form,
header and claims itself and leaves to PyJWT what PyJWT does well, the signature.

The exceptions:

    TokenRejected           not a whole token of ours for this purpose
    └── TokenOutdated       it was one, and its time has passed
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

MAX_TOKEN = 2048
"""Characters; ours have about 330 to 450. What is longer is not looked at."""

# RFC 7515, section 7.1: three base64url segments, none of them empty.
COMPACT_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
USER_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
HEX_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
KEY_ID = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""A thumbprint by SHA-256 (RFC 7638)."""
MOST = 2**31 - 1
LATEST_TIME = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp())
MAX_CLOCK_SKEW = timedelta(seconds=60)
"""How far ahead the clock of the server may be that issued a token."""
MAX_REMEMBERED = 1024
"""Tokens whose signature is remembered as verified: about a megabyte."""
FIRST_PARTY = "first-party"
"""The `client_id` of every token with an issuer: the product's own clients (RFC 9068, 2.2)."""


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
    not_before: datetime | None = None
    """Of a token that was decoded alone; this version issues none that has it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a token says, and the key that has signed it."""

    key: Key
    claims: Claims


@dataclass(frozen=True, slots=True)
class Unverified:
    """The parts of a token in canonical compact form; nothing of it is believed yet."""

    header: dict[str, object]
    payload: dict[str, object]
    signed: bytes
    signature: bytes
    key_id: str | None


class KeySource(Protocol):
    """Holds the keys."""

    def signing_key(self, purpose: Purpose) -> Key:
        """Return the key that signs tokens for this purpose now."""

    def verifying_keys(self, key_id: str | None, purpose: Purpose) -> Sequence[Key]:
        """Return the keys that may have signed a token for this purpose with this `kid`, or none.

        Only of a token whose signature was verified before.
        """

    def keys_of(self, claims: Claims) -> Sequence[Key]:
        """Return the keys that may have signed a token that claims this, not verified yet."""


def encode(claims: Claims, key: Key, issuer: str | None = None) -> str:
    """Return the signed token in its compact form; an access token names the issuer, if any.

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
    header = key.header
    if issuer is not None and claims.purpose is Purpose.ACCESS:
        payload |= {"iss": issuer, "client_id": FIRST_PARTY}
        header["typ"] = ACCESS_TYPE
    assert key.signing is not None
    return jwt.encode(payload, key.signing, key.algorithm.value, headers=header)


class TokenDecoder:
    """Decodes the tokens of one app, each signature verified once.

    Only that a key has signed a text is remembered, which stays true; whether key, time and purpose
    are good is checked each time. Where the app has an issuer, a token that names one must name it.
    """

    def __init__(self, keyring: KeySource, issuer: str | None = None) -> None:
        self._keyring = keyring
        self._issuer = issuer
        self._remembered: dict[str, Verified] = {}

    def decode(self, token: str, purpose: Purpose, now: datetime) -> Claims:
        """Return the claims of a token signed by one of the keys, for the purpose, in its time.

        The header must be one that the key's own tokens have, so that nothing in it is a choice of
        whoever made the token. Raises TokenRejected, or TokenOutdated for a token that was good
        until its `exp`.
        """
        known = self._remembered.get(token)
        if known is None or known.key not in self._keyring.verifying_keys(
            known.claims.key_id, purpose
        ):
            known = self._verify(token, purpose)
            self._remember(token, known)
        claims = known.claims
        if claims.purpose is not purpose:
            raise TokenRejected("the token is for something else")
        _check_time(claims, now)
        return claims

    def _verify(self, token: str, purpose: Purpose) -> Verified:
        parts = _parse(token)
        claims = _typed(parts)
        if claims.purpose is not purpose:
            raise TokenRejected("the token is for something else")
        self._check_issuer(parts)
        for key in self._keyring.keys_of(claims):
            if key.has_signed_under(parts.header) and key.verifies(parts.signature, parts.signed):
                return Verified(key, claims)
        raise TokenRejected("neither header nor signature are ours")

    def _check_issuer(self, parts: Unverified) -> None:
        """Raise TokenRejected for another issuer; a token from before there was one names none."""
        named = parts.payload.get("iss")
        if parts.header.get("typ") == ACCESS_TYPE and not isinstance(named, str):
            raise TokenRejected("iss is missing")
        if self._issuer is not None and "iss" in parts.payload and named != self._issuer:
            raise TokenRejected("iss is another issuer")

    def _remember(self, token: str, verified: Verified) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[token] = verified


def _check_time(claims: Claims, now: datetime) -> None:
    if claims.issued_at > now + MAX_CLOCK_SKEW:
        raise TokenRejected("iat is in the future")
    if claims.not_before is not None and claims.not_before > now:
        raise TokenRejected("nbf is in the future")
    if claims.expires_at <= now:
        raise TokenOutdated("the token has expired")


def _parse(token: str) -> Unverified:
    """Return the parts of a token in canonical compact form. Raises TokenRejected for others."""
    form = COMPACT_FORM.fullmatch(token) if len(token) <= MAX_TOKEN else None
    if form is None:
        raise TokenRejected("not the compact form")
    try:
        raw_header, raw_payload, signature = (_canonical(segment) for segment in form.groups())
        header, payload = strict_json.loads(raw_header), strict_json.loads(raw_payload)
    except ValueError as error:
        raise TokenRejected("not the compact form") from error
    if not isinstance(header, dict) or not isinstance(payload, dict):
        raise TokenRejected("header or payload is not an object")
    key_id = _text(header, "kid", KEY_ID) if "kid" in header else None
    return Unverified(header, payload, token.rpartition(".")[0].encode("ascii"), signature, key_id)


def _canonical(segment: str) -> bytes:
    """Return a segment's bytes; raises ValueError for every spelling of them but one.

    The last character of a base64url text can have unused bits, so that one signature has several
    spellings (RFC 4648, section 3.5).
    """
    raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode("ascii"):
        raise ValueError("not canonical base64url")
    return raw


def _typed(parts: Unverified) -> Claims:
    """Return the claims of a payload that has all of them, each of its type."""
    payload = parts.payload
    purpose = _purpose(payload)
    if parts.header.get("typ") == ACCESS_TYPE and purpose is not Purpose.ACCESS:
        raise TokenRejected("typ and aud differ")
    claims = Claims(
        user_id=int(_text(payload, "sub", USER_ID)),
        session_id=UUID(_text(payload, "sid", HEX_ID)),
        purpose=purpose,
        issued_at=_moment(payload, "iat"),
        expires_at=_moment(payload, "exp"),
        generation=_whole(payload, "gen", MOST) if purpose is Purpose.REFRESH else None,
        token_id=UUID(_text(payload, "jti", HEX_ID)),
        key_id=parts.key_id,
        not_before=_moment(payload, "nbf") if "nbf" in payload else None,
    )
    if claims.issued_at > claims.expires_at:
        raise TokenRejected("iat is after exp")
    return claims


def _moment(payload: dict[str, object], name: str) -> datetime:
    return datetime.fromtimestamp(_whole(payload, name, LATEST_TIME), UTC)


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
