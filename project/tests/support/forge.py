"""Build tokens, valid and invalid, without the code that the service builds them with."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from jwt.algorithms import get_default_algorithms

from project.security.signing_keys import Key, PrivateKey
from project.security.tokens import Claims, Purpose, TokenDecoder

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
"""The alphabet of base64url in order (RFC 4648, section 5)."""
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of P-256 (NIST SP 800-186, section 3.2.1.3)."""
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
"""The order of the base point of Ed25519 (RFC 8032, section 5.1)."""


class StaticKeys:
    """A source of fixed keys, the same for every purpose."""

    def __init__(self, *keys: Key) -> None:
        self.keys = keys

    def signing_key(self, _purpose: Purpose) -> Key:
        """Return the first key."""
        return self.keys[0]

    def verifying_keys(self, key_id: str | None, _purpose: Purpose) -> Sequence[Key]:
        """Return the keys with this id."""
        return [key for key in self.keys if key.key_id == key_id]

    def keys_of(self, claims: Claims) -> Sequence[Key]:
        """Return the keys with the token's key id."""
        return self.verifying_keys(claims.key_id, claims.purpose)


def decoded(
    token: str, keys: Sequence[Key], purpose: Purpose, now: datetime, issuer: str | None = None
) -> Claims:
    """Decode a token signed by one of these keys."""
    return TokenDecoder(StaticKeys(*keys), issuer).decode(token, purpose, now)


def segment(content: object) -> str:
    """Encode a segment of a compact token: bytes unchanged, anything else as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded_segment(text: str) -> bytes:
    """Decode a segment; ignore characters outside base64url."""
    letters = "".join(letter for letter in text if letter in ALPHABET)
    whole = letters if len(letters) % 4 != 1 else letters[:-1]
    return base64.urlsafe_b64decode(whole + "=" * (-len(whole) % 4))


def signature(signing_input: str, algorithm: str, signing: bytes | PrivateKey) -> bytes:
    """Return the raw signature (RFC 7518, section 3) of this input."""
    made: bytes = get_default_algorithms()[algorithm].sign(signing_input.encode(), signing)
    return made


def signed(header: object, payload: object, algorithm: str, signing: bytes | PrivateKey) -> str:
    """Return a token of this header and payload with a valid signature."""
    signing_input = f"{segment(header)}.{segment(payload)}"
    return f"{signing_input}.{segment(signature(signing_input, algorithm, signing))}"


@dataclass(frozen=True)
class Good:
    """A token that the service accepts, in its parts."""

    header: dict[str, object]
    payload: dict[str, object]
    key: Key
    text: str = ""

    @classmethod
    def of(cls, token: str, key: Key) -> "Good":
        """Split a token of the service and sign it again.

        Spaces appended to the payload give its segment unused bits, as the signature has.
        """
        header, payload, _ = (decoded_segment(part) for part in token.split("."))
        good = cls(json.loads(header), json.loads(payload), key)
        spaces = b" " * ((1 - len(payload)) % 3)
        return replace(good, text=good.resigned(header, payload + spaces))

    @property
    def parts(self) -> tuple[str, str, str]:
        """The three segments."""
        head, payload, signature = self.text.split(".")
        return head, payload, signature

    @property
    def raw_signature(self) -> bytes:
        """The bytes of the signature."""
        return decoded_segment(self.parts[2])

    @property
    def signing(self) -> bytes | PrivateKey:
        """The private key or secret."""
        assert self.key.signing is not None
        return self.key.signing

    def resigned(self, header: object = None, payload: object = None) -> str:
        """Return the token with another header or payload and a valid signature."""
        head = self.header if header is None else header
        body = self.payload if payload is None else payload
        return signed(head, body, self.key.algorithm.value, self.signing)

    def with_signature(self, raw: bytes) -> str:
        """Return the token with another signature."""
        head, payload, _ = self.parts
        return f"{head}.{payload}.{segment(raw)}"


def halves(raw: bytes) -> tuple[int, int]:
    """Split an ES256 signature of any length into r and s (RFC 7518, section 3.4)."""
    middle = len(raw) // 2
    return int.from_bytes(raw[:middle]), int.from_bytes(raw[middle:])


def joined(r: int, s: int, width: int = 32) -> bytes:
    """Join r and s, each of this many bytes, into a signature."""
    return r.to_bytes(width) + s.to_bytes(width)


def twin(raw: bytes) -> bytes:
    """Return the second valid ES256 signature of the same input: (r, n - s)."""
    r, s = halves(raw)
    return joined(r, P256_ORDER - s)


def as_der(raw: bytes) -> bytes:
    """Encode an ES256 signature in DER, as X.509 does (RFC 3279, section 2.2.3)."""
    der = encode_dss_signature(*halves(raw))
    assert decode_dss_signature(der) == halves(raw)
    return der
