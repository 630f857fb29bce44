"""The keys that sign tokens and show them to be ours, and how a private one is kept.

A symmetric key is the secret itself. An asymmetric one is published as a JWK (RFC 7517) under its
thumbprint (RFC 7638), and its private part is kept encrypted under a key derived from the secret.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import jwt
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, get_default_algorithms

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = EllipticCurvePublicKey | Ed25519PublicKey

AT_REST = b"users: signing keys at rest"
REFRESH_TOKENS = b"users: refresh tokens"
TOKEN_IDS = b"users: token ids"
"""What each derived key is for (RFC 5869, section 3.2), so that no two uses derive the same."""

PLAIN_TYPE = "JWT"
ACCESS_TYPE = "at+jwt"
"""The `typ` of an access token that names its issuer (RFC 9068, section 2.1)."""
REFRESH_TYPE = "refresh+jwt"
"""The `typ` of a refresh token, so that no library takes it for anything else (RFC 8725, 3.11)."""

# RFC 7638, section 3.2, and RFC 8037, section 2: of each key type the members that make the key.
ESSENTIAL = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}


# By PyJWT's own implementations; its decoder would parse the token a second time.
ALGORITHMS: dict[str, jwt.algorithms.Algorithm] = get_default_algorithms()


class Unreadable(Exception):
    """A key is damaged, or was encrypted under a secret that is not among ours."""


class Algorithm(StrEnum):
    """How a token is signed; its `alg` (RFC 7518, section 3.1, and RFC 8037, section 3.1)."""

    HS256 = "HS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


@dataclass(frozen=True, slots=True)
class Key:
    """What signs, or shows that it was signed; the algorithm is the key's, never the token's."""

    algorithm: Algorithm
    verifying: bytes | PublicKey
    signing: bytes | PrivateKey | None = None
    key_id: str | None = None
    token_type: str = PLAIN_TYPE

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Tell whether this is the key's signature over what was signed."""
        return ALGORITHMS[self.algorithm].verify(signed, self.verifying, signature)

    @property
    def header(self) -> dict[str, str]:
        """The header of the tokens that this key signs."""
        return self._header(self.token_type)

    def has_signed_under(self, header: object) -> bool:
        """Return whether this is a header of the key's tokens; an access token has one of two."""
        if header == self.header:
            return True
        return self.token_type == PLAIN_TYPE and header == self._header(ACCESS_TYPE)

    def _header(self, token_type: str) -> dict[str, str]:
        known = {} if self.key_id is None else {"kid": self.key_id}
        return {"alg": self.algorithm.value, "typ": token_type, **known}


def from_secret(secret: str) -> Key:
    """Return the symmetric key that the secret is."""
    return Key(Algorithm.HS256, verifying=secret.encode(), signing=secret.encode())


def refresh_key_from_secret(secret: str) -> Key:
    """Return the key of refresh tokens: derived from the secret, and known to this service alone.

    Other services hold a public key, or under HS256 the secret itself, to verify access tokens.
    Neither verifies a refresh token, so none can take it for an access token by mistake.
    """
    derived = derive(secret, REFRESH_TOKENS)
    return Key(Algorithm.HS256, verifying=derived, signing=derived, token_type=REFRESH_TYPE)


def derive(secret: str, purpose: bytes) -> bytes:
    """Return the key of 32 bytes that is derived from the secret for this purpose (RFC 5869)."""
    return HKDF(hashes.SHA256(), length=32, salt=None, info=purpose).derive(secret.encode())


def generate(algorithm: Algorithm) -> PrivateKey:
    """Return a new private key for ES256 (on P-256) or EdDSA (Ed25519)."""
    if algorithm is Algorithm.EDDSA:
        return Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(private: PrivateKey, algorithm: Algorithm) -> dict[str, str]:
    """Return the JWK of the public part, with its thumbprint as `kid`."""
    public = private.public_key()
    if isinstance(public, Ed25519PublicKey):
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    return {**jwk, "kid": thumbprint(jwk), "use": "sig", "alg": algorithm.value}


def public_part(jwk: dict[str, str], algorithm: Algorithm, kid: str) -> PublicKey:
    """Return the public key of a JWK of ours. Raises Unreadable for what is none of this kind."""
    try:
        loaded: PublicKey = jwt.PyJWK.from_dict(jwk, algorithm.value).key
        fits = jwk["alg"] == algorithm and jwk["kid"] == thumbprint(jwk) == kid
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable("its public part is damaged") from error
    if not fits:
        raise Unreadable("its public part is another key's")
    return loaded


def thumbprint(jwk: dict[str, str]) -> str:
    """Return the JWK's SHA-256 thumbprint in base64url: 43 characters (RFC 7638, section 3)."""
    essential = {name: jwk[name] for name in ESSENTIAL[jwk["kty"]]}
    canonical = json.dumps(essential, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def seal(private: PrivateKey, secret: str) -> str:
    """Return the private key encrypted under what is derived from the secret."""
    encoded = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _cipher(secret).encrypt(encoded).decode()


def unseal(sealed: str, secrets: Sequence[str]) -> PrivateKey:
    """Return the private key that was sealed under one of the secrets. Raises Unreadable."""
    try:
        encoded = MultiFernet([_cipher(secret) for secret in secrets]).decrypt(sealed)
        loaded = serialization.load_der_private_key(encoded, password=None)
    except (InvalidToken, ValueError) as error:
        raise Unreadable from error
    assert isinstance(loaded, EllipticCurvePrivateKey | Ed25519PrivateKey)
    return loaded


def _cipher(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive(secret, AT_REST)))
