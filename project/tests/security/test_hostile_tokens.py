"""Hostile tokens: every changed token is rejected with the same error."""

import http.client
import socket
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from werkzeug.datastructures import Headers

from project.clock import utcnow
from project.security.signing_keys import Algorithm
from project.security.tokens import TokenRejected
from project.tests import vectors
from project.tests.base import BaseTestCase
from project.tests.support import attacks, databases, forge, forgeries, servers
from project.tests.support.contract import EXPIRED_TOKEN, INVALID_TOKEN
from project.tests.support.forge import Good
from project.tests.support.signing_keys import SERVICE_TOKEN
from project.tests.support.token_attacks import TokenAttackCase, named, read
from project.tests.utils import OverHTTP, Reply

WORKERS_TRIED = 8
"""Enough connections that each of two workers gets one."""


@pytest.mark.any_database
class TestVectors(TokenAttackCase):
    """Project Wycheproof's test vectors, all of which the service rejects."""

    def test_every_vector_is_rejected(self) -> None:
        for vector in vectors.read():
            for good in self.good[:2]:
                with named(vector.name):
                    self.assert_token_rejected(vector.text, good)

    def test_signatures_match_the_labels_with_six_known_exceptions(self) -> None:
        unlike = [each for each in vectors.read() if each.is_valid != vectors.is_good(each)]
        for vector in unlike:
            same = [each for each in vectors.read() if each.text == vector.text and each.is_valid]
            self.assertTrue("?" in vector.text if vector.is_valid else same, vector.name)
        self.assertEqual(len(unlike), 6)


@pytest.mark.any_database
@pytest.mark.slow
class TestAttacks(TokenAttackCase):
    """Known attacks on services with tokens."""

    def test_the_unchanged_tokens_are_valid(self) -> None:
        self.assertEqual(len(self.good), 6)
        self.assert_sessions_unchanged()

    def test_changed_headers_are_rejected(self) -> None:
        self.assert_all_rejected(attacks.headers)

    def test_changed_payloads_are_rejected(self) -> None:
        self.assert_all_rejected(attacks.payloads)

    def test_other_containers_are_rejected(self) -> None:
        self.assert_all_rejected(attacks.containers)

    def test_other_spellings_are_rejected(self) -> None:
        self.assert_all_rejected(forgeries.spellings)

    def test_changed_signatures_are_rejected(self) -> None:
        self.assert_all_rejected(forgeries.signatures)

    def test_a_change_of_any_letter_is_rejected(self) -> None:
        for good in self.good[::2]:
            for position, letter in enumerate(good.text):
                before, after = good.text[:position], good.text[position + 1 :]
                for put in ("", letter * 2, "B" if letter == "A" else "A", f"{letter}."):
                    with self.assertRaises(TokenRejected, msg=(position, put)):
                        read(before + put + after, good)

    def test_a_signature_of_another_key_is_rejected(self) -> None:
        for good in self.good:
            for other in self.good:
                if other.key != good.key:
                    forged = forge.signed(
                        other.header, other.payload, good.key.algorithm.value, good.signing
                    )
                    self.assert_token_rejected(forged, other)

    def test_a_valid_signature_grants_no_session_of_another_user(self) -> None:
        for good in self.good:
            for claim in (
                {"sub": "888888888"},
                {"sub": "9" * 18},
                {"sid": "0" * 32},
                {"sid": "f" * 32},
            ):
                token = good.resigned(payload=good.payload | claim)
                for reply in self.replies(token, str(good.payload["aud"])):
                    self.assert_error(reply, 401, INVALID_TOKEN, "session_ended")

    def test_only_a_token_with_a_valid_signature_is_reported_as_expired(self) -> None:
        for good in self.good:
            now = int(utcnow().timestamp())
            for exp in (0, 1, now - 1, now):
                old = good.payload | {"iat": 0, "exp": exp}
                for reply in self.replies(good.resigned(payload=old), str(good.payload["aud"])):
                    self.assert_error(reply, 401, EXPIRED_TOKEN, "token_expired")
                head, _, signature = good.parts
                self.assert_token_rejected(f"{head}.{forge.segment(old)}.{signature}", good)

    def test_iat_may_be_at_most_a_minute_ahead(self) -> None:
        for good in self.good:
            minute = int(utcnow().timestamp()) + 60
            self.assert_token_accepted(good.resigned(payload=good.payload | {"iat": minute}), good)
            self.assert_token_rejected(
                good.resigned(payload=good.payload | {"iat": minute + 1}), good
            )

    def test_a_token_is_rejected_before_its_nbf(self) -> None:
        for good in self.good:
            now = int(utcnow().timestamp())
            self.assert_token_accepted(good.resigned(payload=good.payload | {"nbf": now}), good)
            for nbf in (now + 1, 10**18, str(now), None, [now], float(now), True):
                self.assert_token_rejected(good.resigned(payload=good.payload | {"nbf": nbf}), good)

    def test_other_schemes_and_malformed_fields_are_rejected(self) -> None:
        token = self.good[0].text
        for field in (
            token, f"Basic {token}", f"Token {token}", f"JWT {token}", f"DPoP {token}",
            f"Bearer\t{token}", f"Bearer:{token}", f"Bearer={token}", f"Bearer{token}",
            f"Bearer,{token}", f"Bearers {token}", f'Bearer "{token}"', f'Bearer token="{token}"',
            f"Bearer realm=x {token}", "Bearer", "Bearer ", f"Basic x, Bearer {token}",
            f"Bearer {token}, Bearer {token}", f"Bearer {token} {token}", f"Bearer \t{token}",
            f"Bearer \xa0{token}", f"\xa0Bearer {token}", f"Be\xe4rer {token}", "", " ",
            f"Bearer {token}\xa0", f"B\u00b4earer {token}",
        ):  # fmt: skip
            with self.subTest(field.replace(token, "…")):
                reply = self.caller.get("/auth/status", Authorization=field)
                self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")

    def test_the_scheme_ignores_case_and_extra_spaces(self) -> None:
        for scheme in ("Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer   "):
            for blank in ("", " "):
                field = f"{scheme}{self.good[0].text}{blank}"
                self.assertEqual(self.caller.get("/auth/status", Authorization=field).status, 200)

    def test_invalid_token_values_in_a_body_are_rejected(self) -> None:
        for path, name in (("/auth/refresh", "refresh_token"), ("/auth/introspect", "token")):
            for spoiled in ("\0", "\ud800"):
                for token in (spoiled, self.good[1].text + spoiled):
                    reply = self.caller.post(path, {name: token}, SERVICE_TOKEN)
                    self.assert_field_errors(reply, (name, "invalid_text"))
            reply = self.caller.post(path, {name: "A" * 100_000}, SERVICE_TOKEN)
            self.assertEqual(reply.status, 413)
            for value in (None, 7, True, [self.good[1].text], {"token": self.good[1].text}):
                reply = self.caller.post(path, {name: value}, SERVICE_TOKEN)
                self.assert_field_errors(reply, (name, "wrong_type"))

    def test_very_long_tokens_are_rejected(self) -> None:
        good = self.good[0]
        for token in ("A" * 100_000, "." * 100_000, f"{good.text}A" * 200, "A." * 50_000):
            self.assert_error(self.caller.status(token), 401, INVALID_TOKEN, "token_invalid")


class TestSecondSignature(TokenAttackCase):
    """ECDSA has two valid signatures of each input: (r, s) and (r, n - s)."""

    def setUp(self) -> None:
        super().setUp()
        place = [good.key.algorithm for good in self.good].index(Algorithm.ES256)
        self.access, refresh = self.good[place : place + 2]
        # A refresh token of a version in which these had no separate key.
        text = self.access.resigned(payload=refresh.payload)
        self.refresh = replace(self.access, payload=refresh.payload, text=text)

    def twin(self, good: Good) -> str:
        """Return the token with the other valid signature."""
        return good.with_signature(forge.twin(good.raw_signature))

    def test_a_logout_with_the_original_ends_the_twin(self) -> None:
        self.assert_ends_both(self.access.text)

    def test_a_logout_with_the_twin_ends_the_original(self) -> None:
        self.assert_ends_both(self.twin(self.access))

    def assert_ends_both(self, token: str) -> None:
        """Assert that both spellings are accepted until a logout with one, then rejected."""
        both = (self.access.text, self.twin(self.access))
        self.assert_accepted(both[0])
        self.assert_accepted(both[1])
        self.assertEqual(self.caller.logout(token).status, 200)
        for spelling in both:
            reply = self.caller.status(spelling)
            self.assert_error(reply, 401, INVALID_TOKEN, "session_ended")

    def test_the_twin_of_a_used_refresh_token_counts_as_used(self) -> None:
        path = "/auth/refresh"
        first = self.caller.post(path, {"refresh_token": self.refresh.text}).body
        self.caller.post(path, {"refresh_token": first["refresh_token"]})
        reply = self.caller.post(path, {"refresh_token": self.twin(self.refresh)})
        self.assert_error(reply, 401, INVALID_TOKEN, "refresh_reused")
        reply = self.caller.status(self.access.text)
        self.assert_error(reply, 401, INVALID_TOKEN, "session_ended")


@pytest.mark.processes
class TestServed(BaseTestCase):
    """Raw header fields, sent to two workers of granian."""

    def setUp(self) -> None:
        super().setUp()
        url = databases.new_database()
        self.app = databases.new_app(url, TOKEN_ALGORITHM="ES256")
        self.add_user()
        self.url = self.enterContext(servers.running("granian", url, TOKEN_ALGORITHM="ES256"))
        self.caller = OverHTTP(self.url)
        self.token = self.caller.login().body["auth_token"]

    def send(self, *fields: bytes) -> Reply:
        """Request the status with these lines as header fields."""
        address = urlsplit(self.url)
        lines = (b"GET /auth/status HTTP/1.1", b"Host: x", b"Connection: close", *fields, b"", b"")
        with socket.create_connection((str(address.hostname), address.port), 30) as connection:
            connection.sendall(b"\r\n".join(lines))
            response = http.client.HTTPResponse(connection)
            response.begin()
            return Reply(response.status, Headers(response.getheaders()), response.read())

    def assert_field_rejected(self, *fields: bytes) -> None:
        """Assert that header fields are rejected, by the service or by the server."""
        with self.subTest([field[:40] for field in fields]):
            reply = self.send(*fields)
            if reply.status not in (400, 431):
                self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")

    def test_malformed_fields_are_rejected_and_logout_ends_both_spellings(self) -> None:
        token = self.token.encode()
        good = b"Authorization: Bearer " + token
        self.assertEqual(self.send(good).status, 200)
        self.assert_fields_rejected(good, token)
        self.assert_both_spellings_end_together()

    def assert_fields_rejected(self, good: bytes, token: bytes) -> None:
        """Assert that every changed field is rejected."""
        signs = [bytes([sign]) for sign in b"\xff\xe9\x80\xa0\0\x01\x0b\x1b\x7f=.,"]
        for put in (*signs, b"\xc3\xa9", b"\xff\xfe", b"A" * 100_000):
            self.assert_field_rejected(good + put)
            self.assert_field_rejected(good[:40] + put + good[40:])
        bad, basic = b"Authorization: Bearer x", b"Authorization: Basic eDp5"
        for pair in ((good, good), (good, bad), (bad, good), (basic, good), (good, basic)):
            self.assert_field_rejected(*pair)
        self.assert_field_rejected(b"Authorization:", good)
        self.assert_field_rejected(b"Authorization: Bearer", b" " + token)
        self.assert_field_rejected(good[:40], b" " + good[40:])
        self.assert_field_rejected(b"Authorization : Bearer " + token)

    def assert_both_spellings_end_together(self) -> None:
        """Assert that a logout with one spelling of a signature ends both, in each worker."""
        head, payload, signature = self.token.split(".")
        twin = f"{head}.{payload}.{forge.segment(forge.twin(forge.decoded_segment(signature)))}"
        for spelling in (self.token, twin):
            self.assertEqual(self.statuses(spelling), {200})
        self.assertEqual(self.caller.logout(self.token).status, 200)
        for spelling in (self.token, twin):
            self.assertEqual(self.statuses(spelling), {401})

    def statuses(self, token: str) -> set[int]:
        """Request the status often enough that both workers respond; return the statuses."""
        return {self.caller.status(token).status for _ in range(WORKERS_TRIED)}
