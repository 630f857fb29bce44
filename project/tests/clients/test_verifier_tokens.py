"""The verifier's strict parser: accepted and rejected tokens."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import TestCase
from uuid import uuid4

import jwt
import pytest
import time_machine
from joserfc.jwk import ECKey, OKPKey
from users_client import Principal, TokenRejected, Verifier

from project.tests.support import fake_service
from project.tests.support.fake_service import FakeService
from project.tests.support.signing import SECRET_HEADER, header, published, segment, signed

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PRINCIPAL = Principal(
    user_id=7,
    session_id=uuid4().hex,
    token_id=uuid4().hex,
    issued_at=NOON,
    expires_at=NOON + timedelta(minutes=5),
)
PAYLOAD: dict[str, Any] = {
    "sub": "7",
    "sid": PRINCIPAL.session_id,
    "jti": PRINCIPAL.token_id,
    "iat": int(NOON.timestamp()),
    "exp": int(PRINCIPAL.expires_at.timestamp()),
    "aud": "access",
}
EC = ECKey.generate_key("P-256")
ED = OKPKey.generate_key("Ed25519")
STRANGER = ECKey.generate_key("P-256")


@pytest.mark.any_database
class TestVerifierTokens(TestCase):
    """Every rejected token here has a valid signature, unless the test's name says otherwise."""

    def setUp(self) -> None:
        self.clock = self.enterContext(time_machine.travel(NOON, tick=False))
        self.service = FakeService(keys=[published(EC), published(ED)])
        self.recorder = self.enterContext(fake_service.recorded(self.service))
        self.verifier = self.enterContext(Verifier(self.recorder.url, service_token="abc"))

    def assert_error(self, token: str, why: object = None, code: str = "token_invalid") -> None:
        """Assert that a token is rejected."""
        with self.subTest(why or token):
            with self.assertRaises(TokenRejected) as caught:
                self.verifier.verify(token)
            self.assertEqual(caught.exception.code, code)
            self.assertNotIn(token, [str(caught.exception), *caught.exception.body().values()])

    def test_a_valid_token_of_either_algorithm_costs_no_request(self) -> None:
        for _ in range(3):
            self.assertEqual(self.verifier.verify(signed(EC, PAYLOAD)), PRINCIPAL)
            self.assertEqual(self.verifier.verify(signed(ED, PAYLOAD)), PRINCIPAL)
        self.assertEqual(self.recorder.asked, [fake_service.KEYS, fake_service.FEED])

    def test_a_token_with_an_issuer_is_accepted(self) -> None:
        named = PAYLOAD | {"iss": "https://users.example.com", "client_id": "first-party"}
        token = signed(EC, named, header(EC) | {"typ": "at+jwt"})
        self.assertEqual(self.verifier.verify(token), PRINCIPAL)

    def test_a_refresh_token_is_rejected(self) -> None:
        payload = PAYLOAD | {"aud": "refresh", "gen": 0}
        self.assert_error(signed(b"derived", payload, SECRET_HEADER | {"typ": "refresh+jwt"}))
        self.assert_error(signed(b"derived", PAYLOAD, SECRET_HEADER | {"typ": "refresh+jwt"}))
        self.assertEqual(self.recorder.asked, [])

    def test_a_token_from_the_future_is_rejected(self) -> None:
        issued = PAYLOAD["iat"]
        self.verifier.verify(signed(EC, PAYLOAD | {"iat": issued + 60, "nbf": issued}))
        self.assert_error(signed(EC, PAYLOAD | {"iat": issued + 61}))
        self.assert_error(signed(EC, PAYLOAD | {"iat": PAYLOAD["exp"] + 1}))
        times: list[object] = [issued + 1, None, str(issued), [issued], True]
        for nbf in times:
            self.assert_error(signed(EC, PAYLOAD | {"nbf": nbf}), nbf)

    def test_an_unknown_claim_is_ignored(self) -> None:
        self.assertEqual(self.verifier.verify(signed(EC, PAYLOAD | {"new": [1]})), PRINCIPAL)

    def test_a_token_expires_at_its_exp(self) -> None:
        token = signed(ED, PAYLOAD)
        self.clock.shift(timedelta(minutes=5, seconds=-1))
        self.assertEqual(self.verifier.verify(token), PRINCIPAL)
        self.clock.shift(timedelta(seconds=1))
        self.assert_error(token, code="token_expired")

    def test_an_old_forged_token_is_invalid_not_expired(self) -> None:
        self.clock.shift(timedelta(days=1))
        self.assert_error(signed(STRANGER, PAYLOAD, header(EC)))

    def test_a_token_signed_by_an_unknown_key_is_rejected(self) -> None:
        stranger = OKPKey.generate_key("Ed25519")
        for key, head in (
            (STRANGER, header(STRANGER)), (STRANGER, header(EC)), (stranger, header(ED)),
            (STRANGER, {"alg": "ES256", "typ": "JWT"}),
        ):  # fmt: skip
            self.assert_error(signed(key, PAYLOAD, head), head)

    def test_a_key_verifies_its_own_algorithm_only(self) -> None:
        for key, other in ((EC, ED), (ED, EC)):
            self.assert_error(signed(key, PAYLOAD, header(other)))
            self.assert_error(signed(key, PAYLOAD, header(key) | {"kid": other.thumbprint()}))
            self.assert_error(signed(key, PAYLOAD, header(key) | {"alg": header(other)["alg"]}))

    def test_a_token_signed_with_a_public_key_as_secret_is_rejected(self) -> None:
        for secret in (
            EC.as_pem(private=False), ED.as_pem(private=False), EC.as_der(private=False),
            json.dumps(published(EC)).encode(), json.dumps(EC.as_dict(private=False)).encode(),
            str(published(EC)["x"]).encode(), EC.thumbprint().encode(),
        ):  # fmt: skip
            self.assert_error(signed(secret, PAYLOAD, header(EC) | {"alg": "HS256"}), secret)
            self.assert_error(signed(secret, PAYLOAD, header(EC)), secret)
            self.assert_error(signed(secret, PAYLOAD), secret)

    def test_a_header_of_another_form_is_rejected(self) -> None:
        ours = header(EC)
        url = f"{self.recorder.url}/hostile"
        changes: list[dict[str, Any]] = [
            {"alg": "none"}, {"alg": "None"}, {"alg": "es256"}, {"alg": "ES384"}, {"alg": []},
            {"alg": "ES256K"}, {"alg": "Ed25519"}, {"alg": None}, {"alg": {}}, {"alg": "HS256"},
            {"typ": "jwt"}, {"typ": "at+jwt"}, {"typ": None}, {"typ": ["JWT"]}, {"kid": None},
            {"kid": 7}, {"kid": ""}, {"kid": [ours["kid"]]}, {"kid": ours["kid"] + "="},
            {"kid": "../../../../../../dev/null"}, {"kid": ours["kid"] + "\n"}, {"kid": "é" * 43},
            {"kid": "' OR 1=1 --"}, {"crit": ["exp"]}, {"crit": []}, {"b64": False},
            {"b64": True}, {"zip": "DEF"}, {"jku": url}, {"x5u": url}, {"x5c": []}, {"cty": "JWT"},
            {"jwk": published(STRANGER)}, {"jwk": published(EC)}, {"new": 1},
        ]  # fmt: skip
        for change in changes:
            self.assert_error(signed(EC, PAYLOAD, ours | change), change)
            self.assert_error(signed(STRANGER, PAYLOAD, ours | change), change)
        for name in ours:
            less = {key: value for key, value in ours.items() if key != name}
            self.assert_error(signed(EC, PAYLOAD, less), less)
        self.assertNotIn("/hostile", self.recorder.asked)

    def test_a_header_that_is_not_strict_json_is_rejected(self) -> None:
        whole = json.dumps(header(EC))
        for head in (
            b"", b"null", b"[]", b"{", b"\xff", whole.encode("utf-16"), whole.encode() + b"x",
            (whole[:-1] + ', "alg": "ES256"}').encode(), b"[" * 1000,
            ('{"kid": "x", ' + whole[1:]).encode(), b"\xef\xbb\xbf" + whole.encode(),
        ):  # fmt: skip
            self.assert_error(signed(EC, PAYLOAD, head), head)

    def test_a_missing_claim_or_one_of_another_type_is_rejected(self) -> None:
        wrong: dict[str, list[Any]] = {
            "sub": [7, "", "0", "07", "-7", "7 ", "٧", "7" * 30, "7.0", None, True, ["7"], {}],
            "sid": [
                "",
                "x",
                PRINCIPAL.session_id.upper(),
                PRINCIPAL.session_id + "\n",
                7,
                None,
                [],
            ],
            "jti": ["", "x", 7, None, {}],
            "iat": ["1", -1, 1.5, True, None, 10**30, [], 253_402_300_800],
            "exp": [str(PAYLOAD["exp"]), float(PAYLOAD["exp"]), True, None, 10**30, -1, {}],
            "aud": ["", "refresh", "ACCESS", ["access"], None, 7, True, {"access": 1}],
        }
        for name, values in wrong.items():
            self.assert_error(signed(EC, {k: v for k, v in PAYLOAD.items() if k != name}), name)
            for value in values:
                self.assert_error(signed(EC, PAYLOAD | {name: value}), (name, value))

    def test_a_payload_that_is_not_strict_json_is_rejected(self) -> None:
        whole = json.dumps(PAYLOAD)
        for payload in (
            b"", b"null", b"[]", b'"x"', b"7", b"{", b"\xff", b"[" * 1000, whole.encode("utf-16"),
            (whole[:-1] + ', "sub": "8"}').encode(), whole.replace('"7"', "NaN").encode(),
            b"\xef\xbb\xbf" + whole.encode(), whole.encode() + b"x",
        ):  # fmt: skip
            self.assert_error(signed(EC, payload), payload)

    def test_a_token_without_a_valid_signature_is_rejected(self) -> None:
        head, payload, signature = signed(EC, PAYLOAD).split(".")
        other = segment(PAYLOAD | {"sub": "8"})
        none = jwt.encode(PAYLOAD, "", algorithm="none", headers={"kid": EC.thumbprint()})
        for token in (
            none, none + signature, f"{head}.{payload}.", f"{head}.{payload}",
            f"{head}.{payload}.{'A' * 86}", f"{head}.{payload}.{signature[:-4]}",
            f"{head}.{other}.{signature}", f"{segment(header(ED))}.{payload}.{signature}",
        ):  # fmt: skip
            self.assert_error(token)

    def test_another_spelling_of_a_valid_token_is_rejected(self) -> None:
        token = signed(EC, PAYLOAD)
        head, payload, signature = token.split(".")
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        sibling = alphabet[alphabet.index(signature[-1]) ^ 1]
        for spelling in (
            token + "=", token + "==", token + "\n", " " + token, token + " ", token + ".",
            f"{head}.{payload}.{signature[:-1]}{sibling}", token.replace(".", "\u2024"),
            f"{head}.{payload}.{signature[:20]}!{signature[20:]}", f"{head}..{payload}.{signature}",
            f"{head}=.{payload}.{signature}", f"{head}.{payload}.{signature[:5]}\n{signature[5:]}",
            f"{head}.{payload}.{signature}A", f"{head}.{payload}.{signature[:-1]}é",
            "A" * 5, "A.A.A", ".", "..", "",
        ):  # fmt: skip
            self.assert_error(spelling)

    def test_a_very_long_token_is_rejected(self) -> None:
        self.assert_error(signed(EC, PAYLOAD | {"x": "x" * 3000}), "long")
        self.assert_error("A" * 10_000_000, "very long")

    def test_a_malformed_token_is_not_sent_to_the_service(self) -> None:
        for token in (
            "x", signed(b"secret", PAYLOAD, SECRET_HEADER | {"new": 1}), signed(b"secret", b"{}"),
            signed(b"secret", PAYLOAD | {"aud": "refresh"}),
        ):  # fmt: skip
            self.assert_error(token)
        self.assertEqual(self.recorder.asked, [])
