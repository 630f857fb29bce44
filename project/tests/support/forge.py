"""Tokens made by hand, good and bad, past the code that makes them in the service."""

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
"""Of base64url, in order (RFC 4648, section 5)."""
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""How many points P-256 has (NIST SP 800-186, section 3.2.1.3)."""
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
"""How many points the base point of Ed25519 makes (RFC 8032, section 5.1)."""


class KeysAtHand:
    """A keyring of these keys, whatever the purpose."""

    def __init__(self, *held: Key) -> None:
        self.held = held

    def signing_key(self, _purpose: Purpose) -> Key:
        """Return the first key."""
        return self.held[0]

    def verifying_keys(self, key_id: str | None, _purpose: Purpose) -> Sequence[Key]:
        """Return the keys of this id."""
        return [key for key in self.held if key.key_id == key_id]

    def keys_of(self, claims: Claims) -> Sequence[Key]:
        """Return the keys of the token's id."""
        return self.verifying_keys(claims.key_id, claims.purpose)


def decoded(
    token: str, held: Sequence[Key], purpose: Purpose, now: datetime, issuer: str | None = None
) -> Claims:
    """Return the claims of a token that one of these keys has signed, by a decoder of its own."""
    return TokenDecoder(KeysAtHand(*held), issuer).decode(token, purpose, now)


def segment(content: object) -> str:
    """Return a segment of a compact token: bytes as they stand, anything else as JSON."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def opened(text: str) -> bytes:
    """Return what a segment spells; letters that are not base64url's are passed over."""
    letters = "".join(letter for letter in text if letter in ALPHABET)
    whole = letters if len(letters) % 4 != 1 else letters[:-1]
    return base64.urlsafe_b64decode(whole + "=" * (-len(whole) % 4))


def signature(signing_input: str, algorithm: str, signing: bytes | PrivateKey) -> bytes:
    """Return the raw signature (RFC 7518, section 3) by any key that fits the algorithm."""
    made: bytes = get_default_algorithms()[algorithm].sign(signing_input.encode(), signing)
    return made


def signed(header: object, payload: object, algorithm: str, signing: bytes | PrivateKey) -> str:
    """Return a token with a good signature over whatever these are."""
    signing_input = f"{segment(header)}.{segment(payload)}"
    return f"{signing_input}.{segment(signature(signing_input, algorithm, signing))}"


@dataclass(frozen=True)
class Good:
    """A token that the service takes, in its parts."""

    header: dict[str, object]
    payload: dict[str, object]
    key: Key
    text: str = ""

    @classmethod
    def of(cls, token: str, key: Key) -> "Good":
        """Return a token of the service in its parts, signed anew.

        Blanks behind the payload give its segment unused bits, as the signature's has.
        """
        header, payload, _ = (opened(part) for part in token.split("."))
        good = cls(json.loads(header), json.loads(payload), key)
        blanks = b" " * ((1 - len(payload)) % 3)
        return replace(good, text=good.resigned(header, payload + blanks))

    @property
    def parts(self) -> tuple[str, str, str]:
        """The three segments."""
        head, payload, signature = self.text.split(".")
        return head, payload, signature

    @property
    def raw_signature(self) -> bytes:
        """The signature's bytes."""
        return opened(self.parts[2])

    @property
    def signing(self) -> bytes | PrivateKey:
        """The key itself."""
        assert self.key.signing is not None
        return self.key.signing

    def resigned(self, header: object = None, payload: object = None) -> str:
        """Return it with another header or payload, and a good signature over them."""
        head = self.header if header is None else header
        body = self.payload if payload is None else payload
        return signed(head, body, self.key.algorithm.value, self.signing)

    def with_signature(self, raw: bytes) -> str:
        """Return it under another signature."""
        head, payload, _ = self.parts
        return f"{head}.{payload}.{segment(raw)}"


def halves(raw: bytes) -> tuple[int, int]:
    """Return r and s of a signature by ES256 (RFC 7518, section 3.4), however long they are."""
    middle = len(raw) // 2
    return int.from_bytes(raw[:middle]), int.from_bytes(raw[middle:])


def joined(r: int, s: int, width: int = 32) -> bytes:
    """Return the signature of r and s, each of this many bytes."""
    return r.to_bytes(width) + s.to_bytes(width)


def twin(raw: bytes) -> bytes:
    """Return the other signature by ES256 that fits whatever this one fits: (r, n - s)."""
    r, s = halves(raw)
    return joined(r, P256_ORDER - s)


def as_der(raw: bytes) -> bytes:
    """Return a signature by ES256 as X.509 would have it (RFC 3279, section 2.2.3)."""
    der = encode_dss_signature(*halves(raw))
    assert decode_dss_signature(der) == halves(raw)
    return der
