"""Tokens that an attacker can make from a valid token without its key, by kind."""

import hashlib
import hmac
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from project.security import signing_keys
from project.security.signing_keys import Algorithm
from project.tests.support.attacks import FOREIGN_URL, Forged
from project.tests.support.forge import (
    ALPHABET,
    ED25519_ORDER,
    P256_ORDER,
    Good,
    as_der,
    decoded_segment,
    halves,
    joined,
    segment,
    signature,
)


def spellings(good: Good) -> Forged:
    """Yield a valid token in other spellings."""
    head, payload, made = text = good.parts
    yield from {
        "twice": good.text * 2, "a list": f"{good.text},{good.text}",
        "a pair": f"{good.text} {good.text}", "the scheme twice": f"Bearer {good.text}",
        "quoted": f'"{good.text}"', "in brackets": f"<{good.text}>",
        "a parameter": f'token="{good.text}"', "a comma": f"{good.text},",
        "a semicolon": f"{good.text};", "a dot behind": f"{good.text}.",
        "a dot before": f".{good.text}", "two dots": good.text.replace(".", ".."),
        "an escaped dot": good.text.replace(".", "%2E"),
        "another dot": good.text.replace(".", "\u2024"),
        "a wide dot": good.text.replace(".", "\uff0e"),
        "an unseen letter": good.text.replace(".", "\u200b."),
        "a mark of order": f"\ufeff{good.text}", "upper case": good.text.upper(),
        "lower case": good.text.lower(), "backwards": ".".join(reversed(text)),
        "changed places": f"{payload}.{head}.{made}",
        "wide letters": "".join(chr(ord(letter) + 0xFEE0) for letter in good.text),
        "hexadecimal": f"{head}.{payload}.{good.raw_signature.hex()}", "100 dots": "." * 100,
        "no base64": f"{decoded_segment(head).decode()}.{decoded_segment(payload).decode()}.{made}",
        "base64 twice": segment(good.text.encode()),
        "lines": b64encode(good.text.encode()).decode(),
    }.items()  # fmt: skip
    for position in range(3):
        for how, respelled in _segment_spellings(text[position]):
            parts = (*text[:position], respelled, *text[position + 1 :])
            yield (position, how), ".".join(parts)


def _segment_spellings(text: str) -> Forged:
    raw = decoded_segment(text)
    for letter in "=\n\r\t !#?+/%~\x7f\x1f\u00e9":
        yield ("behind", letter), text + letter
        yield ("before", letter), letter + text
        yield ("inside", letter), text[:8] + letter + text[8:]
    yield "empty", ""
    yield "shorter", text[:-1]
    yield "longer", f"{text}A"
    yield "padded", urlsafe_b64encode(raw).decode() + "=" * (len(raw) % 3 == 0)
    yield "a NUL behind", segment(raw + b"\0")
    unused = {0: 0, 2: 4, 3: 2}[len(text) % 4]
    for bit in range(unused):
        yield ("unused bit", bit), text[:-1] + ALPHABET[ALPHABET.index(text[-1]) ^ 1 << bit]


def signatures(good: Good) -> Forged:
    """Yield the header and payload of a valid token with invalid signatures."""
    raw = good.raw_signature
    for name, made in {
        "none": b"", "a byte": b"\0", "zeros": bytes(len(raw)), "ones": b"\xff" * len(raw),
        "half": raw[: len(raw) // 2], "a byte less": raw[:-1], "the first less": raw[1:],
        "a byte more": raw + b"\0", "a zero before": b"\0" + raw, "twice": raw * 2,
        "backwards": raw[::-1], "inverted": bytes(255 - byte for byte in raw),
        "16 bytes": raw[:16], "halves changed": raw[len(raw) // 2 :] + raw[: len(raw) // 2],
        "many": raw * 16, "text": good.parts[2].encode(), "DER": as_der(raw),
        "zeros in DER": as_der(bytes(64)),
    }.items():  # fmt: skip
        yield name, good.with_signature(made)
    yield from _over_other_content(good)
    yield from _by_other_keys(good)
    if good.key.algorithm is Algorithm.ES256:
        yield from _numbers(good)
    if good.key.algorithm is Algorithm.EDDSA:
        yield from _respelled_points(good)


def _over_other_content(good: Good) -> Forged:
    """Yield tokens with the valid signature of another token."""
    head, payload, made = good.parts
    changed = segment(good.payload | {"sub": "888888888"})
    yield "of another payload", f"{head}.{changed}.{made}"
    respaced = segment(json.dumps(good.header, indent=1).encode())
    yield "of another spelling of the header", f"{respaced}.{payload}.{made}"
    escaped = json.dumps(good.header).replace('"alg"', '"\\u0061lg"').encode()
    yield "of a header without escapes", f"{segment(escaped)}.{payload}.{made}"


def _respelled_points(good: Good) -> Forged:
    """Yield Ed25519 signatures whose S is not below the order (RFC 8032, section 5.1.7)."""
    point, number = good.raw_signature[:32], int.from_bytes(good.raw_signature[32:], "little")
    for times in (1, 2, 8):
        respelled = (number + times * ED25519_ORDER).to_bytes(32, "little")
        yield ("order", times), good.with_signature(point + respelled)
    yield "the neutral point", good.with_signature(b"\1" + bytes(63))


def _numbers(good: Good) -> Forged:
    """Yield pairs r and s at the edges of their range."""
    r, s = halves(good.raw_signature)
    edges = (0, 1, 2, P256_ORDER - 1, P256_ORDER, P256_ORDER + 1, 2**256 - 1)
    for pair in [(a, b) for a in (*edges, r) for b in (*edges, s) if (a, b) != (r, s)]:
        yield pair, good.with_signature(joined(*pair))
    for width in (33, 48, 66):
        yield ("width", width), good.with_signature(joined(r, s, width))
        yield ("plus n", width), good.with_signature(joined(r + P256_ORDER, s, width))
    yield "s and r", good.with_signature(joined(s, r))
    yield "n - r", good.with_signature(joined(P256_ORDER - r, s))


def _by_other_keys(good: Good) -> Forged:
    """Yield tokens signed by foreign keys, with every kind of key id."""
    for algorithm in (Algorithm.ES256, Algorithm.EDDSA):
        private = signing_keys.generate(algorithm)
        jwk = signing_keys.public_jwk(private, algorithm)
        own = {"alg": algorithm.value, "typ": "JWT"}
        for header in (
            own, good.header, good.header | {"alg": algorithm.value}, own | {"kid": jwk["kid"]},
            own | {"jwk": jwk}, good.header | {"alg": algorithm.value, "jwk": jwk},
            own | {"jku": FOREIGN_URL, "kid": jwk["kid"]},
        ):  # fmt: skip
            yield (algorithm, header), _signed_by(good, header, algorithm.value, private)
    curves = {"ES384": ec.SECP384R1(), "ES512": ec.SECP521R1(), "ES256K": ec.SECP256K1()}
    for name, curve in curves.items():
        foreign = ec.generate_private_key(curve)
        for header in (good.header, good.header | {"alg": name}):
            yield (name, header), _signed_by(good, header, name, foreign)
    for name, secret in _guessed_secrets(good):
        for header in (good.header, good.header | {"alg": "HS256"}, {"alg": "HS256", "typ": "JWT"}):
            yield (name, header), _hashed(good, header, secret)


def _signed_by(good: Good, header: object, algorithm: str, private: Any) -> str:
    signing_input = f"{segment(header)}.{good.parts[1]}"
    return f"{signing_input}.{segment(signature(signing_input, algorithm, private))}"


def _hashed(good: Good, header: object, secret: bytes) -> str:
    signing_input = f"{segment(header)}.{good.parts[1]}"
    made = hmac.digest(secret, signing_input.encode(), hashlib.sha256)
    return f"{signing_input}.{segment(made)}"


def _guessed_secrets(good: Good) -> Iterator[tuple[str, bytes]]:
    """Yield secrets that an attacker can guess: above all the public key in every format."""
    yield from (("empty", b""), ("NUL", b"\0" * 32), ("secret", b"secret"), ("None", b"None"))
    verifying = good.key.verifying
    if isinstance(verifying, bytes):
        return
    jwk: dict[str, str] = signing_keys.public_jwk(good.signing, good.key.algorithm)  # type: ignore[arg-type]
    yield from ((name, value.encode()) for name, value in jwk.items())
    yield from ((f"raw {name}", decoded_segment(jwk[name])) for name in ("x", "y") if name in jwk)
    for separators in ((", ", ": "), (",", ":")):
        yield "JWK", json.dumps(jwk, separators=separators).encode()
        yield "JWKS", json.dumps({"keys": [jwk]}, separators=separators).encode()
    pem = verifying.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    der = verifying.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    yield from (("PEM", pem), ("PEM without its end", pem.strip()), ("DER", der))
    yield "PEM in one line", pem.replace(b"\n", b"")
    yield "PEM of DOS", pem.replace(b"\n", b"\r\n")
