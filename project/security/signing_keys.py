"""Keys that sign and verify tokens, and the encryption of private keys.

The symmetric key is SECRET_KEY itself. The public key of a key pair is published as a JWK (RFC
7517) whose `kid` is its thumbprint (RFC 7638). The private key is stored encrypted, with a key
derived from SECRET_KEY.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import jwt
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, get_default_algorithms

from project.security.derivation import derive_key

PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = EllipticCurvePublicKey | Ed25519PublicKey

ENCRYPTION_LABEL = "users: signing keys at rest"
REFRESH_LABEL = "users: refresh tokens"

PLAIN_TYPE = "JWT"
ACCESS_TYPE = "at+jwt"
"""The `typ` of an access token that names its issuer (RFC 9068, section 2.1)."""
REFRESH_TYPE = "refresh+jwt"
"""The `typ` of a refresh token, so that no library accepts it as another token (RFC 8725, 3.11)."""

# The members of a thumbprint, by key type (RFC 7638, section 3.2, and RFC 8037, section 2).
THUMBPRINT_MEMBERS = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}

# PyJWT's implementations are used directly; its decoder would parse the token a second time.
ALGORITHMS: dict[str, jwt.algorithms.Algorithm] = get_default_algorithms()


class Unreadable(Exception):
    """A key is damaged, or is encrypted with none of the configured secrets."""


class Algorithm(StrEnum):
    """The signature algorithm of a token, its `alg` (RFC 7518, 3.1, and RFC 8037, 3.1)."""

    HS256 = "HS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


@dataclass(frozen=True, slots=True)
class Key:
    """A key that verifies tokens, and may sign them, by its own algorithm only."""

    algorithm: Algorithm
    verifying: bytes | PublicKey
    signing: bytes | PrivateKey | None = None
    """None for a key that only verifies."""
    key_id: str | None = None
    token_type: str = PLAIN_TYPE

    def verifies(self, signature: bytes, signed: bytes) -> bool:
        """Return whether the signature is this key's signature of the signed bytes."""
        return ALGORITHMS[self.algorithm].verify(signed, self.verifying, signature)

    @property
    def header(self) -> dict[str, str]:
        """The header of tokens that this key signs."""
        return self._header(self.token_type)

    def accepts_header(self, header: object) -> bool:
        """Return whether the header is one of this key's; access tokens may have either `typ`."""
        if header == self.header:
            return True
        return self.token_type == PLAIN_TYPE and header == self._header(ACCESS_TYPE)

    def _header(self, token_type: str) -> dict[str, str]:
        key_id = {} if self.key_id is None else {"kid": self.key_id}
        return {"alg": self.algorithm.value, "typ": token_type, **key_id}


def from_secret(secret: str) -> Key:
    """Return the symmetric key that is the secret itself."""
    return Key(Algorithm.HS256, verifying=secret.encode(), signing=secret.encode())


def refresh_key_from_secret(secret: str) -> Key:
    """Return the key of refresh tokens, which is derived from the secret.

    Other services verify access tokens with a public key or, under HS256, with the secret itself.
    Neither verifies a refresh token, so no service can accept one as an access token by mistake.
    """
    derived = derive_key(secret, REFRESH_LABEL)
    return Key(Algorithm.HS256, verifying=derived, signing=derived, token_type=REFRESH_TYPE)


def generate(algorithm: Algorithm) -> PrivateKey:
    """Return a new private key for ES256 (P-256) or EdDSA (Ed25519)."""
    if algorithm is Algorithm.EDDSA:
        return Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(private: PrivateKey, algorithm: Algorithm) -> dict[str, str]:
    """Return the JWK of a private key's public key, with its thumbprint as `kid`."""
    public = private.public_key()
    if isinstance(public, Ed25519PublicKey):
        jwk = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        jwk = ECAlgorithm.to_jwk(public, as_dict=True)
    return {**jwk, "kid": thumbprint(jwk), "use": "sig", "alg": algorithm.value}


def load_public_key(jwk: dict[str, str], algorithm: Algorithm, kid: str) -> PublicKey:
    """Return the public key of a stored JWK.

    Raises Unreadable for a damaged JWK, and for one of another key or algorithm.
    """
    try:
        loaded: PublicKey = jwt.PyJWK.from_dict(jwk, algorithm.value).key
        matches = jwk["alg"] == algorithm and jwk["kid"] == thumbprint(jwk) == kid
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable("its public key is damaged") from error
    if not matches:
        raise Unreadable("its public key belongs to another key")
    return loaded


def thumbprint(jwk: dict[str, str]) -> str:
    """Return the JWK's SHA-256 thumbprint in base64url: 43 characters (RFC 7638, section 3)."""
    members = {name: jwk[name] for name in THUMBPRINT_MEMBERS[jwk["kty"]]}
    canonical = json.dumps(members, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def seal(private: PrivateKey, secret: str) -> str:
    """Return the private key, encrypted with a key that is derived from the secret."""
    encoded = private.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return _cipher(secret).encrypt(encoded).decode()


def unseal(sealed: str, secrets: Sequence[str]) -> PrivateKey:
    """Return the private key that was sealed with one of the secrets. Raises Unreadable."""
    try:
        encoded = MultiFernet([_cipher(secret) for secret in secrets]).decrypt(sealed)
        loaded = serialization.load_der_private_key(encoded, password=None)
    except (InvalidToken, ValueError) as error:
        raise Unreadable from error
    assert isinstance(loaded, EllipticCurvePrivateKey | Ed25519PrivateKey)
    return loaded


def _cipher(secret: str) -> Fernet:
    return Fernet(base64.urlsafe_b64encode(derive_key(secret, ENCRYPTION_LABEL)))
