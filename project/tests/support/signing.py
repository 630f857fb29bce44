"""Sign tokens, valid and invalid, without PyJWT."""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OKPKey

PublicKey = ECKey | OKPKey
SECRET_HEADER = {"alg": "HS256", "typ": "JWT"}


def algorithm(key: PublicKey) -> str:
    """Return the algorithm of this key."""
    return "ES256" if isinstance(key, ECKey) else "EdDSA"


def segment(content: bytes | Mapping[str, Any]) -> str:
    """Return a segment of a compact token."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header(key: PublicKey) -> dict[str, Any]:
    """Return the header of a token that this key signs."""
    return {"alg": algorithm(key), "typ": "JWT", "kid": key.thumbprint()}


def signed(
    key: PublicKey | bytes,
    payload: bytes | Mapping[str, Any],
    head: bytes | Mapping[str, Any] | None = None,
) -> str:
    """Return a token of this header and payload, signed by this key or secret."""
    if head is None:
        head = SECRET_HEADER if isinstance(key, bytes) else header(key)
    signing_input = f"{segment(head)}.{segment(payload)}"
    return f"{signing_input}.{segment(_signature(key, signing_input.encode()))}"


def _signature(key: PublicKey | bytes, signing_input: bytes) -> bytes:
    if isinstance(key, bytes):
        return hmac.digest(key, signing_input, "sha256")
    return jws.JWSRegistry.algorithms[algorithm(key)].sign(signing_input, key)


def published(key: PublicKey) -> dict[str, Any]:
    """Return a public key as a key set contains it (RFC 7517)."""
    named = {"kid": key.thumbprint(), "use": "sig", "alg": algorithm(key)}
    return {**key.as_dict(private=False), **named}
