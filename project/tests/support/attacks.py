"""Invalid tokens with a valid signature, by kind.

Each function yields pairs of an attack's name and a token. The tokens are signed by the key of the
service, so that only the checks of header and payload can reject them.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

from joserfc import jwe
from joserfc.jwk import OctKey

from project.tests.support.forge import Good, decoded_segment, segment, signed

Forged = Iterator[tuple[object, str]]
Attack = Callable[[Good], Forged]

UNSIGNED: tuple[object, ...] = ("none", "None", "NONE", "nOnE", "none ", "", None, False, 0, [], {})
FOREIGN_URL = "http://127.0.0.1:9/keys"
THUMBPRINT = "A" * 43
"""A well-formed key id of no key."""

HEADERS: tuple[dict[str, object], ...] = (
    # RFC 7515, section 4.1, and RFC 7516, section 4.1
    {"jku": FOREIGN_URL}, {"x5u": FOREIGN_URL}, {"x5c": ["MIIB"]}, {"x5t": "A" * 27},
    {"x5t#S256": "A" * 43}, {"cty": "JWT"}, {"crit": []}, {"crit": ["exp"]}, {"crit": ["alg"]},
    {"crit": "exp"}, {"crit": None}, {"zip": "DEF"}, {"enc": "A256GCM"},
    {"p2c": 10**9, "p2s": "AAAA"}, {"epk": {}},
    # RFC 7797
    {"b64": False}, {"b64": True}, {"b64": False, "crit": ["b64"]}, {"b64": True, "crit": ["b64"]},
    {"typ": "jwt"}, {"typ": "at+jwt"}, {"typ": "JWE"}, {"typ": "JOSE"}, {"typ": None},
    {"typ": ["JWT"]}, {"typ": "application/jwt"}, {"x": 1}, {"iss": "users"}, {"exp": 1},
    {"jwk": {"kty": "oct", "k": "c2VjcmV0"}}, {"ALG": "none"}, {"Kid": "x"},
    {"kid": ""}, {"kid": None}, {"kid": 7}, {"kid": []},
    {"kid": {}}, {"kid": "../../../dev/null"}, {"kid": "' OR '1'='1"},
    {"kid": "x' UNION SELECT 'AAAA"}, {"kid": "| sleep 9"}, {"kid": "%00"}, {"kid": "\0"},
    {"kid": THUMBPRINT}, {"kid": THUMBPRINT[1:]}, {"kid": f"{THUMBPRINT}\n"},
    {"kid": f"{THUMBPRINT[1:]}\0"}, {"kid": THUMBPRINT[1:] + "é"}, {"kid": "\ud800"},
    {"kid": "A" * 1200}, {"kid": "secret"}, {"kid": "http://127.0.0.1:9/"},
)  # fmt: skip

ALGORITHMS: tuple[object, ...] = (
    *UNSIGNED, "HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "ES512", "ES256K",
    "EdDSA", "Ed25519", "hs256", "es256", "eddsa", "HS256\0", " HS256", "dir", "A256KW",
    "RSA-OAEP", ["HS256"], ["ES256", "none"], {"alg": "HS256"}, True, 256,
)  # fmt: skip

CLAIMS: dict[str, tuple[Any, ...]] = {
    "sub": (
        1, True, None, [], {}, "", "0", "01", "+1", "-1", " 1", "1 ", "1\n", "1\0", "1.0", "1e0",
        "0x1", "1_0", "\u0661", "\uff11", "\u00b2", "9" * 20, "9" * 500, "1;", "1 OR 1=1", "admin",
        "\ud800", ["1"],
    ),
    "sid": (None, 0, "", [], {}, "0" * 31, "0" * 33, "g" * 32, "\uff10" * 32, "0" * 32 + "\n"),
    "jti": (None, 0, "", [], "x", "0" * 31, "../" * 10 + "00"),
    "iat": (None, "1", "", 1.5, 1e300, -1, True, [], {}, 2**53, 2**63, 2**64, 10**300),
    "exp": (None, "9999999999", "", 9e9, 1e300, -1, True, [], {}, 2**53, 2**63, 2**64, 10**300),
    "aud": (
        None, "", True, [], {}, ["access"], ["refresh"], ["access", "refresh"], "ACCESS", "Refresh",
        "access ", "access refresh", "service", "email", "reset", "users", "*",
    ),
    "gen": (None, "0", "", 0.0, 1.5, -1, True, [], {}, 2**31, 2**64),
}  # fmt: skip

NUMBERS = (
    "1e3", "1E9", "9e9", "1e400", "-1e400", "NaN", "Infinity", "-Infinity", "+1", "01",
    "0x7fffffff", "1.", ".5", "1_000", "9" * 400, "-9" + "9" * 400, "9" * 1000,
)  # fmt: skip


def headers(good: Good) -> Forged:
    """Yield tokens with another header and a valid signature."""
    yield from ((extra, good.resigned(good.header | extra)) for extra in HEADERS)
    for algorithm in ALGORITHMS:
        if algorithm != good.key.algorithm.value:
            yield algorithm, good.resigned(good.header | {"alg": algorithm})
            head = segment(good.header | {"alg": algorithm})
            yield ("unsigned", algorithm), f"{head}.{good.parts[1]}."
    if isinstance(good.signing, bytes):
        for stronger in ("HS384", "HS512"):
            header = good.header | {"alg": stronger}
            yield ("by", stronger), signed(header, good.payload, stronger, good.signing)
    for name in good.header:
        without = {kept: value for kept, value in good.header.items() if kept != name}
        yield ("without", name), good.resigned(without)
    yield from ((raw, good.resigned(raw)) for raw in _raw_headers(json.dumps(good.header)))


def _raw_headers(whole: str) -> Iterator[bytes]:
    members = whole[1:-1]
    yield from (b"null", b"[]", b'"x"', b"7", b"true", b"{", b"{}", b"\xff", b"\0", b"[" * 500)
    yield from (whole.encode("utf-16"), whole.encode("utf-32"), b"\xef\xbb\xbf" + whole.encode())
    for text in (
        f'{{"alg": "none", {members}}}', f'{{{members}, "alg": "none"}}',
        f"{{{members}, {members}}}", f'{{"\\u0061lg": "none", {members}}}',
        f'{{{members}, "\\u0061l\\u0067": "none"}}', f'{{{members}, "t\\u0079p": "JWT"}}',
        f"{{{members},}}", f"[{whole}]", whole + whole, whole + "x", whole + "\0", f"/**/{whole}",
        whole.replace('"', "'"), whole[:-1], f'{{{members}, "x": NaN}}',
        f'{{{members}, "": {{}}}}', f'{{{members}, "__proto__": {{}}}}',
    ):  # fmt: skip
        yield text.encode()


def payloads(good: Good) -> Forged:
    """Yield tokens with another payload and a valid signature."""
    for name, values in CLAIMS.items():
        if name in good.payload:
            without = {kept: value for kept, value in good.payload.items() if kept != name}
            yield ("without", name), good.resigned(payload=without)
            for value in values:
                yield (name, value), good.resigned(payload=good.payload | {name: value})
    yield from _session_ids(good)
    other = "refresh" if good.payload["aud"] == "access" else "access"
    yield "the other purpose", good.resigned(payload=good.payload | {"aud": other})
    yield from ((raw, good.resigned(payload=raw)) for raw in _raw_payloads(good.payload))


def _session_ids(good: Good) -> Forged:
    sid = str(good.payload["sid"])
    dashed = f"{sid[:8]}-{sid[8:12]}-{sid[12:16]}-{sid[16:20]}-{sid[20:]}"
    for spelling in (
        sid.upper(), dashed, f"{{{dashed}}}", f"urn:uuid:{dashed}", f" {sid}", f"{sid} ",
        f"{sid}\n", "".join(chr(ord(letter) + 0xFEE0) for letter in sid), [sid], {"hex": sid},
        int(sid, 16),
    ):  # fmt: skip
        if spelling != sid:
            yield ("sid", spelling), good.resigned(payload=good.payload | {"sid": spelling})


def _raw_payloads(payload: dict[str, object]) -> Iterator[bytes]:
    whole = json.dumps(payload)
    members = whole[1:-1]
    yield from (b"null", b"[]", b'"x"', b"7", b"{", b"\xff", b"\0", b"[" * 900, b'{"a":' * 200)
    yield from (whole.encode("utf-16"), b"\xef\xbb\xbf" + whole.encode(), whole.encode() + b"\xc0")
    for name in ("iat", "exp"):
        for number in NUMBERS:
            yield whole.replace(f'"{name}": {payload[name]}', f'"{name}": {number}').encode()
    for text in (
        f'{{"sub": "2", {members}}}', f'{{{members}, "sub": "2"}}',
        f'{{{members}, "s\\u0075b": "2"}}', f'{{"\\u0065xp": 1, {members}}}',
        f'{{{members}, "aud": "access"}}', f"{{{members}, {members}}}", f"{{{members},}}",
        f"[{whole}]", whole + whole, whole + ";", f"{whole} //", whole[:-1],
        whole.replace('"', "'"), f'{{{members}, "x": -Infinity}}',
        f'{{{members}, "x": {{"a": 1, "a": 1}}}}', f'{{{members}, "x": "\t"}}',
    ):  # fmt: skip
        yield text.encode()


def containers(good: Good) -> Forged:
    """Yield a valid token, or its payload, wrapped in another format."""
    head, payload, made = good.parts
    one = {"protected": head, "signature": made}
    yield "JSON serialization", json.dumps({"payload": payload, "signatures": [one]})
    yield "flattened", json.dumps({"payload": payload, **one})
    yield "nested", good.resigned(payload=good.text.encode())
    yield "nested and declared", good.resigned(good.header | {"cty": "JWT"}, good.text.encode())
    yield "nested as a string", good.resigned(payload=good.text)
    yield "detached", f"{head}..{made}"
    yield "unencoded", f"{head}.{decoded_segment(payload).decode()}.{made}"
    key = OctKey.import_key(bytes(32))
    for typ in ("JWT", "JWE"):
        sealing = {"alg": "dir", "enc": "A256GCM", "typ": typ, "cty": "JWT"}
        yield ("JWE", typ), jwe.encrypt_compact(sealing, good.text.encode(), key)
    yield "five parts", f"{good.text}.{payload}.{made}"
    yield "a long one", good.resigned(payload=good.payload | {"x": "x" * 2000})
