"""The strict token parser: accepted and rejected tokens."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from unittest import TestCase, mock
from uuid import uuid4

import jwt
import pytest
from joserfc import jws
from joserfc.jwk import OctKey

from project.security import signing_keys, tokens
from project.security.signing_keys import Key
from project.security.tokens import Claims, Purpose, TokenDecoder, TokenExpired, TokenRejected
from project.tests.support.forge import StaticKeys, decoded

SECRET = "0123456789abcdef" * 2
KEY = signing_keys.from_secret(SECRET)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CLAIMS = Claims(
    user_id=7,
    session_id=uuid4(),
    purpose=Purpose.ACCESS,
    issued_at=NOW,
    expires_at=NOW + timedelta(minutes=5),
)
PAYLOAD: dict[str, Any] = {
    "sub": "7",
    "sid": CLAIMS.session_id.hex,
    "jti": CLAIMS.token_id.hex,
    "iat": int(NOW.timestamp()),
    "exp": int(CLAIMS.expires_at.timestamp()),
    "aud": "access",
}
HEADER = {"alg": "HS256", "typ": "JWT"}


def segment(content: bytes | dict[str, Any]) -> str:
    """Return a segment of a compact token."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(payload: bytes | dict[str, Any], header: bytes | dict[str, Any] = HEADER) -> str:
    """Return a token with a valid signature over any header and payload, without PyJWT."""
    signing_input = f"{segment(header)}.{segment(payload)}"
    key = OctKey.import_key(SECRET)
    signer = jws.JWSRegistry.algorithms["HS256"]
    signature = signer.sign(signing_input.encode(), key)
    return f"{signing_input}.{segment(signature)}"


@pytest.mark.any_database
class TestTokens(TestCase):
    """Every rejected token here has a valid signature, unless the test's name says otherwise."""

    def decode(self, token: str, now: datetime = NOW) -> Claims:
        """Decode with this test's key and clock."""
        return decoded(token, [KEY], Purpose.ACCESS, now)

    def assert_rejected(self, token: str, why: object = None) -> None:
        """Assert that a token is rejected, and not as expired."""
        with self.subTest(why or token):
            with self.assertRaises(TokenRejected) as caught:
                self.decode(token)
            self.assertNotIsInstance(caught.exception, TokenExpired)

    def test_encoded_claims_can_be_decoded(self) -> None:
        self.assertEqual(self.decode(tokens.encode(CLAIMS, KEY)), CLAIMS)

    def test_the_helper_creates_valid_tokens(self) -> None:
        self.assertEqual(self.decode(signed(PAYLOAD)), CLAIMS)

    def test_another_library_verifies_the_tokens(self) -> None:
        verified = jws.deserialize_compact(
            tokens.encode(CLAIMS, KEY), OctKey.import_key(SECRET), ["HS256"]
        )
        self.assertEqual(json.loads(verified.payload), PAYLOAD)
        self.assertEqual(verified.headers(), HEADER)

    def test_a_token_expires_at_its_exp(self) -> None:
        token = tokens.encode(CLAIMS, KEY)
        self.assertEqual(self.decode(token, CLAIMS.expires_at - timedelta(seconds=1)), CLAIMS)
        with self.assertRaises(TokenExpired):
            self.decode(token, CLAIMS.expires_at)

    def test_an_older_key_still_verifies(self) -> None:
        token = tokens.encode(CLAIMS, KEY)
        newer = signing_keys.from_secret("a newer key of the required length")
        self.assertEqual(decoded(token, [newer, KEY], Purpose.ACCESS, NOW), CLAIMS)
        with self.assertRaises(TokenRejected):
            decoded(token, [newer], Purpose.ACCESS, NOW)
        with self.assertRaises(TokenRejected):
            decoded(token, [], Purpose.ACCESS, NOW)

    def test_an_old_forged_token_is_invalid_not_expired(self) -> None:
        token = tokens.encode(
            CLAIMS, signing_keys.from_secret("another key of the required length")
        )
        with self.assertRaises(TokenRejected) as caught:
            self.decode(token, CLAIMS.expires_at)
        self.assertNotIsInstance(caught.exception, TokenExpired)

    def test_a_token_from_a_clock_slightly_ahead_is_accepted(self) -> None:
        self.assertEqual(self.decode(signed(PAYLOAD), NOW - timedelta(seconds=2)), CLAIMS)

    def test_an_unknown_claim_is_ignored(self) -> None:
        self.assertEqual(self.decode(signed(PAYLOAD | {"new": [1]})), CLAIMS)

    def test_a_token_from_the_future_is_rejected(self) -> None:
        issued = PAYLOAD["iat"]
        self.assertEqual(self.decode(signed(PAYLOAD | {"iat": issued + 60})).user_id, 7)
        self.assert_rejected(signed(PAYLOAD | {"iat": issued + 61}), "iat")
        self.assert_rejected(signed(PAYLOAD | {"nbf": issued + 1}), "nbf")
        self.assertEqual(self.decode(signed(PAYLOAD | {"nbf": issued})).user_id, 7)

    def test_a_token_issued_after_its_exp_is_rejected(self) -> None:
        self.assert_rejected(signed(PAYLOAD | {"iat": PAYLOAD["exp"] + 1}))
        self.assert_rejected(signed(PAYLOAD | {"iat": PAYLOAD["exp"] + 1, "exp": PAYLOAD["iat"]}))

    def test_a_malformed_nbf_is_rejected(self) -> None:
        times: list[object] = [None, "0", [], [0], {}, True, 0.5, -1, 10**20]
        for nbf in times:
            self.assert_rejected(signed(PAYLOAD | {"nbf": nbf}), nbf)

    def test_a_missing_claim_is_rejected(self) -> None:
        for name in PAYLOAD:
            payload = {key: value for key, value in PAYLOAD.items() if key != name}
            self.assert_rejected(signed(payload), name)

    def test_a_claim_of_another_type_or_form_is_rejected(self) -> None:
        wrong: dict[str, list[Any]] = {
            "sub": [
                7,
                "",
                "0",
                "07",
                "-7",
                "7 ",
                "٧",
                "7" * 30,
                "7.0",
                None,
                True,
                ["7"],
                {"7": 7},
            ],
            "sid": ["", "x", CLAIMS.session_id.hex.upper(), str(CLAIMS.session_id), 7, None, []],
            "jti": ["", "x", 7, None, {}],
            "iat": ["1", -1, 1.5, True, None, 10**30, [], 253_402_300_800],
            "exp": [str(PAYLOAD["exp"]), float(PAYLOAD["exp"]), True, None, 10**30, -1, {}],
            "aud": ["", "refresh", "ACCESS", ["access"], None, 7, True, {"access": 1}],
        }
        for name, values in wrong.items():
            for value in values:
                self.assert_rejected(signed(PAYLOAD | {name: value}), (name, value))

    def test_a_payload_that_is_not_strict_json_is_rejected(self) -> None:
        whole = json.dumps(PAYLOAD)
        for payload in (
            b"", b"null", b"[]", b'"x"', b"7", b"{", b"\xff", b"[" * 1000, whole.encode("utf-16"),
            (whole[:-1] + ', "sub": "8"}').encode(), whole.replace('"7"', "NaN").encode(),
            b"\xef\xbb\xbf" + whole.encode(), whole.encode() + b"x",
        ):  # fmt: skip
            self.assert_rejected(signed(payload), payload)

    def test_a_header_of_another_form_is_rejected(self) -> None:
        for header in (
            {"alg": "none", "typ": "JWT"}, {"alg": "HS512", "typ": "JWT"}, {"alg": "hs256",
            "typ": "JWT"},
            {"alg": "RS256", "typ": "JWT"}, {"alg": ["HS256"], "typ": "JWT"}, {"alg": "HS256"},
            {"typ": "JWT"}, {}, HEADER | {"kid": "../../dev/null"}, HEADER | {"crit": ["exp"]},
            HEADER | {"b64": False}, HEADER | {"jku": "http://127.0.0.1/"}, HEADER | {"typ": "jwt"},
            HEADER | {"jwk": {"kty": "oct", "k": segment(SECRET.encode())}},
            HEADER | {"zip": "DEF"},
            b'{"alg":"none","typ":"JWT","alg":"HS256"}', b"[]", b"null",
        ):  # fmt: skip
            self.assert_rejected(signed(PAYLOAD, header), header)

    def test_a_token_without_a_valid_signature_is_rejected(self) -> None:
        head, payload, signature = signed(PAYLOAD).split(".")
        none = jwt.encode(PAYLOAD, "", algorithm="none")
        longer = jwt.encode(PAYLOAD, SECRET * 2, algorithm="HS512")
        for token in (
            none, longer, f"{head}.{payload}.", f"{head}.{payload}", f"{head}.{payload}.{'A' * 43}",
            f"{head}.{payload}.{signature[:-4]}",
            f"{head}.{segment(PAYLOAD | {'sub': '8'})}.{signature}",
        ):  # fmt: skip
            self.assert_rejected(token)

    def test_another_spelling_of_a_valid_token_is_rejected(self) -> None:
        token = signed(PAYLOAD)
        head, payload, signature = token.split(".")
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        sibling = alphabet[alphabet.index(signature[-1]) ^ 1]
        for spelling in (
            token + "=", token + "==", token + "\n", " " + token, token + " ", token + ".",
            f"{head}.{payload}.{signature[:-1]}{sibling}",
            f"{head}.{payload}.{signature[:20]}!{signature[20:]}",
            f"{head}..{payload}.{signature}", f"{head}=.{payload}.{signature}",
            token.replace(".", ".."),
            f"{head}.{payload}.{signature[:5]}\n{signature[5:]}", f"{head}.{payload}.{signature}A",
            token.replace(".", "\u2024"), f"{head}.{payload}.{signature[:-1]}é", "A" * 5,
            "A.A.A", ".", "..", "",
        ):  # fmt: skip
            self.assert_rejected(spelling)

    def test_a_very_long_token_is_rejected(self) -> None:
        self.assert_rejected(signed(PAYLOAD | {"x": "x" * 3000}), "long")
        self.assert_rejected("A" * 10_000_000, "very long")


@pytest.mark.any_database
class TestIssuer(TestCase):
    """Access tokens with an issuer (RFC 9068), and tokens without one."""

    ISSUER = "https://users.example.com"
    NAMED = PAYLOAD | {"iss": ISSUER, "client_id": "first-party"}
    TYPED: ClassVar[dict[str, str]] = HEADER | {"typ": "at+jwt"}

    def decode(self, token: str, issuer: str | None = ISSUER) -> Claims:
        """Decode an access token for this issuer."""
        return decoded(token, [KEY], Purpose.ACCESS, NOW, issuer)

    def test_an_access_token_has_the_claims_of_rfc_9068(self) -> None:
        token = tokens.encode(CLAIMS, KEY, self.ISSUER)
        verified = jws.deserialize_compact(token, OctKey.import_key(SECRET), ["HS256"])
        self.assertEqual(json.loads(verified.payload), self.NAMED)
        self.assertEqual(verified.headers(), self.TYPED)
        self.assertEqual(self.decode(token), CLAIMS)

    def test_a_refresh_token_has_no_issuer(self) -> None:
        claims = replace(CLAIMS, purpose=Purpose.REFRESH, generation=0)
        named = tokens.encode(claims, signing_keys.refresh_key_from_secret(SECRET), self.ISSUER)
        self.assertEqual(named, tokens.encode(claims, signing_keys.refresh_key_from_secret(SECRET)))

    def test_tokens_without_an_issuer_and_services_without_the_setting_interoperate(self) -> None:
        self.assertEqual(self.decode(tokens.encode(CLAIMS, KEY)), CLAIMS)
        self.assertEqual(self.decode(tokens.encode(CLAIMS, KEY, self.ISSUER), None), CLAIMS)

    def test_another_issuer_is_rejected(self) -> None:
        for payload, header in (
            (self.NAMED | {"iss": "https://users.example.com/"}, self.TYPED),
            (self.NAMED | {"iss": "https://other.example.com"}, HEADER),
            (self.NAMED | {"iss": None}, HEADER),
            (self.NAMED | {"iss": [self.ISSUER]}, self.TYPED),
            (PAYLOAD, self.TYPED),
        ):
            with self.subTest(payload), self.assertRaises(TokenRejected):
                self.decode(signed(payload, header))

    def test_a_refresh_token_with_the_type_of_access_tokens_is_rejected(self) -> None:
        token = signed(self.NAMED | {"aud": "refresh", "gen": 0}, self.TYPED)
        with self.assertRaises(TokenRejected):
            decoded(token, [KEY], Purpose.REFRESH, NOW, self.ISSUER)


@pytest.mark.any_database
class TestCache(TestCase):
    """The cache of verified signatures; all other checks run each time."""

    def setUp(self) -> None:
        self.keys = StaticKeys(KEY)
        self.decoder = TokenDecoder(self.keys)
        self.token = tokens.encode(CLAIMS, KEY)

    def decode(
        self, held: Key = KEY, purpose: Purpose = Purpose.ACCESS, now: datetime = NOW
    ) -> Claims:
        """Decode the token of this test."""
        self.keys.keys = (held,)
        return self.decoder.decode(self.token, purpose, now)

    def test_the_signature_is_verified_once(self) -> None:
        with mock.patch.object(Key, "verifies", return_value=True) as verifies:
            self.assertEqual([self.decode() for _ in range(3)], [CLAIMS] * 3)
        verifies.assert_called_once()

    def test_key_purpose_and_time_are_checked_each_time(self) -> None:
        self.decode()
        with self.assertRaises(TokenRejected):
            self.decode(held=signing_keys.from_secret(SECRET[::-1]))
        with self.assertRaises(TokenRejected):
            self.decode(purpose=Purpose.REFRESH)
        with self.assertRaises(TokenExpired):
            self.decode(now=CLAIMS.expires_at)

    def test_another_spelling_is_not_found_in_the_cache(self) -> None:
        self.decode()
        for spelled in (f"{self.token}=", f" {self.token}", self.token[:-1]):
            with self.subTest(spelled), self.assertRaises(TokenRejected):
                self.decoder.decode(spelled, Purpose.ACCESS, NOW)

    def test_the_cache_is_bounded_and_has_no_rejected_tokens(self) -> None:
        with self.assertRaises(TokenRejected):
            self.decode(held=signing_keys.from_secret(SECRET[::-1]))
        self.assertEqual(self.decoder._cache, {})
        self.keys.keys = (KEY,)
        with mock.patch.object(tokens, "CACHE_SIZE", 3):
            for _ in range(10):
                another = tokens.encode(replace(CLAIMS, token_id=uuid4()), KEY)
                self.decoder.decode(another, Purpose.ACCESS, NOW)
                self.assertLessEqual(len(self.decoder._cache), 3)
