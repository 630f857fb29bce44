"""Signing keys: published before they sign, and until their last token expires; retired at once."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any
from unittest import mock

import jwt
from flask import Flask
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, OKPKey
from sqlalchemy import func, select, update

from project.accounts import signing_keys
from project.accounts.signing_keys import source
from project.extensions import db
from project.models import SigningKey
from project.security.signing_keys import Algorithm, Unreadable, generate, unseal
from project.security.tokens import Purpose
from project.tests.base import empty_tables
from project.tests.support import databases
from project.tests.support.contract import EXPIRED_TOKEN
from project.tests.support.signing_keys import (
    LEAD,
    NOON,
    REFRESH_TOKEN_LIFETIME,
    SERVICE_TOKEN,
    SigningKeysCase,
    kid_of,
)
from project.tests.utils import Caller


class TestPublishedKeys(SigningKeysCase):
    """The key set that other services read."""

    def test_other_libraries_verify_a_token_of_es256(self) -> None:
        token, published = self.assert_verified_elsewhere("ES256", ECKey)
        opened = jws.deserialize_compact(token, KeySet.import_key_set(published), ["ES256"])
        header = {"alg": "ES256", "typ": "JWT", "kid": kid_of(token)}
        self.assertEqual(opened.headers(), header)

    def test_other_libraries_verify_a_token_of_eddsa(self) -> None:
        self.caller = self.process(TOKEN_ALGORITHM="EdDSA")
        self.assert_verified_elsewhere("EdDSA", OKPKey)

    def assert_verified_elsewhere(
        self, algorithm: str, kind: type[ECKey | OKPKey]
    ) -> tuple[str, Any]:
        """Assert that other libraries verify a token by the published keys; return both."""
        token = self.token()
        published = self.caller.get("/.well-known/jwks.json").body
        kid = str(kid_of(token))
        claims = jwt.decode(
            token, jwt.PyJWKSet.from_dict(published)[kid], [algorithm], audience="access"
        )
        self.assertEqual(claims["sid"], self.sessions(token)[0]["id"])
        (key,) = published["keys"]
        self.assertEqual(key["kid"], kind.import_key(key).thumbprint())
        self.assertLessEqual({*key}, {"kty", "crv", "x", "y", "kid", "use", "alg"})
        return token, published

    def sessions(self, token: str) -> list[dict[str, str]]:
        """Return the sessions of the token's user."""
        listed: list[dict[str, str]] = self.caller.get("/auth/sessions", token).body["data"][
            "sessions"
        ]
        return listed

    def test_the_key_set_exists_before_the_first_login(self) -> None:
        before = self.kids()
        self.assertEqual(before, [kid_of(self.token())])

    def test_the_key_set_is_cacheable_for_half_the_lead(self) -> None:
        reply = self.caller.get("/.well-known/jwks.json")
        self.assertEqual(reply.headers["Cache-Control"], "public, max-age=300")
        self.assertEqual(reply.headers["Content-Type"], "application/json")
        known = {"If-None-Match": reply.headers["ETag"]}
        self.assertEqual(self.caller.get("/.well-known/jwks.json", **known).status, 304)
        self.rotate()
        self.assertEqual(self.caller.get("/.well-known/jwks.json", **known).status, 200)

    def test_the_secret_is_not_published(self) -> None:
        caller = self.process(TOKEN_ALGORITHM="HS256")
        self.token(caller)
        self.assertEqual(caller.get("/.well-known/jwks.json").body, {"keys": []})

    def test_the_private_key_is_encrypted_with_the_secret(self) -> None:
        self.token()
        with self.app.app_context():
            sealed = db.session.scalars(select(SigningKey.private_key)).one()
        unseal(sealed, ["another", databases.SECRET_KEY])
        with self.assertRaises(Unreadable):
            unseal(sealed, ["another", databases.SECRET_KEY[1:]])


class TestLifeOfAKey(SigningKeysCase):
    """Two keys: one that has signed a token, and its successor."""

    def setUp(self) -> None:
        super().setUp()
        self.old_token = self.token()
        self.first = str(kid_of(self.old_token))

    def test_a_new_key_is_published_at_once(self) -> None:
        second = self.rotate()
        self.assertEqual(self.kids(), [second, self.first])

    def test_a_new_key_signs_after_the_lead(self) -> None:
        second = self.rotate()
        self.clock.shift(LEAD - timedelta(seconds=1))
        self.assertEqual(kid_of(self.token()), self.first)
        self.clock.shift(timedelta(seconds=1))
        self.assertEqual(kid_of(self.token()), second)

    def test_tokens_of_the_old_key_are_accepted_after_a_rotation(self) -> None:
        self.rotate()
        self.clock.shift(LEAD)
        self.token()
        self.assert_accepted(self.old_token)

    def test_the_old_key_is_published_until_its_last_token_expires(self) -> None:
        second = self.rotate()
        self.clock.shift(LEAD)
        self.token()
        self.clock.shift(REFRESH_TOKEN_LIFETIME + LEAD - timedelta(seconds=1))
        self.assertEqual(self.kids(), [second, self.first])
        self.clock.shift(timedelta(seconds=1))
        self.assertEqual(self.kids(), [second])


class TestRotation(SigningKeysCase):
    """With a clock that only tests move."""

    def test_an_idle_process_signs_with_the_new_key(self) -> None:
        other = self.process()
        self.token(other)
        second = self.rotate()
        self.clock.shift(LEAD)
        self.assertEqual(kid_of(self.token(other)), second)

    def test_an_idle_process_accepts_the_new_key(self) -> None:
        other = self.process()
        self.assert_accepted(self.token(), other)
        self.rotate()
        self.clock.shift(LEAD)
        self.assert_accepted(self.token(), other)

    def test_an_unknown_kid_is_looked_up_once_in_ten_seconds(self) -> None:
        head, payload, signature = self.token().split(".")
        foreign = jwt.encode({}, "x" * 32, headers={"kid": "A" * 43}).split(".")[0]
        with mock.patch.object(
            signing_keys, "list_unexpired", wraps=signing_keys.list_unexpired
        ) as looked:
            for _ in range(30):
                self.assert_rejected(f"{foreign}.{payload}.{signature}")
            self.assertEqual(looked.call_count, 1)
            self.assert_accepted(f"{head}.{payload}.{signature}")
            self.assertEqual(looked.call_count, 1)

    def test_a_malformed_kid_is_not_looked_up(self) -> None:
        _, payload, signature = self.token().split(".")
        with mock.patch.object(
            signing_keys, "list_unexpired", wraps=signing_keys.list_unexpired
        ) as looked:
            for kid in ("", "A" * 42, "A" * 44, "../" + "A" * 40, "é" * 43, 7, None, ["A" * 43]):
                head = json.dumps({"alg": "ES256", "typ": "JWT", "kid": kid}).encode()
                encoded = base64.urlsafe_b64encode(head).rstrip(b"=").decode()
                self.assert_rejected(f"{encoded}.{payload}.{signature}")
            self.assertEqual(looked.call_count, 0)

    def test_a_key_is_rotated_by_age(self) -> None:
        self.caller = self.process(KEY_ROTATION_DAYS=30)
        first = kid_of(self.token())
        self.clock.shift(timedelta(days=30, seconds=-1))
        self.token()
        self.assertEqual(self.kids(), [first])
        self.clock.shift(timedelta(seconds=1))
        self.assertEqual(kid_of(self.token()), first)
        second = self.kids()[0]
        self.clock.shift(LEAD)
        self.assertEqual(kid_of(self.token()), second)
        self.assertEqual(self.kids(), [second, first])

    def test_zero_days_disable_rotation_by_age(self) -> None:
        self.caller = self.process(KEY_ROTATION_DAYS=0)
        first = kid_of(self.token())
        self.clock.shift(timedelta(days=3650))
        self.assertEqual(kid_of(self.token()), first)

    def test_many_processes_create_one_first_key(self) -> None:
        apps = [self.new_app() for _ in range(8)]

        def prepare(app: Flask) -> None:
            with app.app_context():
                source.current().signing_key()

        with ThreadPoolExecutor(len(apps)) as pool:
            list(pool.map(prepare, apps))
        self.assertEqual(self.number_of_keys(), 1)

    def number_of_keys(self) -> int:
        """Return how many keys were ever made."""
        with self.app.app_context():
            return db.session.scalar(select(func.count()).select_from(SigningKey)) or 0

    def test_a_new_secret_with_a_fallback_keeps_the_key(self) -> None:
        first = kid_of(self.token())
        newer = databases.SECRET_KEY[::-1]
        caller = self.process(SECRET_KEY=newer, SECRET_KEY_FALLBACKS=databases.SECRET_KEY)
        self.assertEqual(kid_of(self.token(caller)), first)

    def test_a_key_that_cannot_be_decrypted_is_replaced_and_still_verifies(self) -> None:
        old = self.token()
        with self.assertLogs("project.accounts.signing_keys.snapshot", "WARNING") as logged:
            caller = self.process(SECRET_KEY=databases.SECRET_KEY[::-1])
            new = self.token(caller)
        self.assertIn(f"key {kid_of(old)} cannot sign", logged.output[0])
        self.assertNotEqual(kid_of(new), kid_of(old))
        self.assert_accepted(old, caller)
        self.assert_accepted(new, caller)

    def test_a_new_key_is_created_after_all_have_expired(self) -> None:
        self.token()
        self.rotate()
        self.clock.shift(LEAD)
        self.retire(self.kids()[0])
        self.clock.shift(timedelta(days=400))
        self.assert_accepted(self.token())
        self.assertEqual(len(self.kids()), 1)

    def test_processes_with_different_algorithms_do_not_keep_rotating(self) -> None:
        self.token()
        other = self.process(TOKEN_ALGORITHM="EdDSA")
        for _ in range(5):
            self.assert_accepted(self.token(), other)
            self.assert_accepted(self.token(other))
            self.clock.shift(timedelta(minutes=1))
        self.assertEqual(self.number_of_keys(), 2)


class TestDamagedKeys(SigningKeysCase):
    """Rows that were edited by hand or written by a later version."""

    def damage(self, **columns: str) -> None:
        """Change the columns of every key."""
        with self.app.app_context():
            db.session.execute(update(SigningKey).values(**columns))
            db.session.commit()

    def test_a_damaged_key_is_replaced(self) -> None:
        whole = json.dumps(self.key_set()[0])
        for columns in (
            {"jwk": ""},
            {"jwk": "[]"},
            {"jwk": "{}"},
            {"jwk": whole.replace('"x": "', '"x": "AA')},
            {"jwk": whole.replace("ES256", "EdDSA")},
            {"algorithm": "RS256"},
            {"algorithm": "EdDSA"},
            {"algorithm": "HS256"},
            {"private_key": "é"},
            {"private_key": "gAAAA"},
        ):
            with (
                self.subTest(columns),
                self.assertLogs("project.accounts.signing_keys.snapshot", "WARNING"),
            ):
                self.damage(**columns)
                caller = self.process()
                self.assert_accepted(self.token(caller), caller)
                self.assertEqual(caller.get("/.well-known/jwks.json").status, 200)
                with self.app.app_context():
                    empty_tables()
                    self.add_user()
                self.token()

    def test_an_older_snapshot_does_not_replace_a_newer_one(self) -> None:
        app = self.new_app()
        with app.app_context():
            ring = source.current()
            read = signing_keys.list_unexpired

            def read_late() -> Any:
                rows = read()
                with mock.patch.object(signing_keys, "list_unexpired", read):
                    ring.signing_key()  # another thread makes the first key meanwhile
                return rows

            with mock.patch.object(signing_keys, "list_unexpired", read_late):
                self.assertEqual(ring.verifying_keys("A" * 43, Purpose.ACCESS), [])
            signer = ring.signing_key()
            with mock.patch.object(signing_keys, "list_unexpired", side_effect=AssertionError):
                self.assertEqual(ring.verifying_keys(signer.key_id, Purpose.ACCESS), [signer])


class TestMoves(SigningKeysCase):
    """From one algorithm to another."""

    def test_tokens_of_the_secret_are_accepted_until_the_last_expires(self) -> None:
        before = self.process(TOKEN_ALGORITHM="HS256")
        old = before.login().body
        self.clock.shift(1)
        new = self.token()
        self.assert_accepted(old["auth_token"])
        self.assert_accepted(new, before)
        self.clock.shift(timedelta(days=1))
        reply = self.caller.status(old["auth_token"])
        self.assert_error(reply, 401, EXPIRED_TOKEN, "token_expired")
        refreshed = self.caller.post("/auth/refresh", {"refresh_token": old["refresh_token"]})
        self.assertEqual(refreshed.status, 200)
        self.assertIsNotNone(kid_of(refreshed.body["auth_token"]))

    def test_the_secret_is_rejected_after_its_last_token_has_expired(self) -> None:
        before = self.process(TOKEN_ALGORITHM="HS256")
        self.token(before)
        self.clock.shift(1)
        self.token()
        self.clock.shift(REFRESH_TOKEN_LIFETIME + LEAD - timedelta(seconds=1))
        young = self.token(before)
        self.assert_accepted(young, self.caller, self.process())
        self.clock.shift(timedelta(seconds=1))
        self.assert_rejected(young, self.caller, self.process())

    def test_a_secret_that_never_signed_is_rejected(self) -> None:
        self.token()
        forged = self.token(self.process(TOKEN_ALGORITHM="HS256"))
        self.assertIsNone(kid_of(forged))
        self.assert_rejected(forged, self.caller, self.process())
        with mock.patch.object(signing_keys, "has_session_before", side_effect=AssertionError):
            self.assert_rejected(forged)

    def test_a_change_back_to_the_secret_keeps_tokens_of_keys_valid(self) -> None:
        token = self.token()
        after = self.process(TOKEN_ALGORITHM="HS256")
        self.assert_accepted(token, after)
        self.assertIsNone(kid_of(self.token(after)))

    def test_another_algorithm_is_published_before_it_signs(self) -> None:
        old = self.token()
        self.clock.shift(LEAD)
        self.caller = self.process(TOKEN_ALGORITHM="EdDSA")
        self.assertEqual(kid_of(self.token()), kid_of(old))
        second, first = self.key_set()
        self.assertEqual((second["alg"], first["alg"]), ("EdDSA", "ES256"))
        self.clock.shift(LEAD)
        self.assertEqual(kid_of(self.token()), second["kid"])
        self.assert_accepted(old)


class TestRetiredKeys(SigningKeysCase):
    """A key that has leaked."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.process()
        self.first = self.other.login().body
        self.assert_accepted(self.first["auth_token"], self.caller, self.other)
        self.retired = str(kid_of(self.first["auth_token"]))
        self.retire(self.retired)

    def test_tokens_of_a_retired_key_are_rejected_in_every_process(self) -> None:
        self.assert_rejected(self.first["auth_token"], self.caller, self.other, self.process())
        reply = self.other.post(
            "/auth/introspect", {"token": self.first["auth_token"]}, SERVICE_TOKEN
        )
        self.assertEqual(reply.body, {"active": False})

    def test_refresh_tokens_stay_valid(self) -> None:
        self.assert_refreshes(self.first["refresh_token"], self.caller)

    def assert_refreshes(self, refresh_token: str, caller: Caller) -> None:
        """Assert that a refresh token yields an access token that is accepted."""
        reply = caller.post("/auth/refresh", {"refresh_token": refresh_token})
        self.assertEqual(reply.status, 200)
        self.assert_accepted(reply.body["auth_token"], self.caller, self.other)

    def test_a_flood_of_unknown_kids_does_not_delay_the_next_key(self) -> None:
        _, payload, signature = self.first["auth_token"].split(".")
        with mock.patch.object(
            signing_keys, "list_unexpired", wraps=signing_keys.list_unexpired
        ) as looked:
            for number in range(50):
                head = jwt.encode({}, "x" * 32, headers={"kid": f"{number:043}"}).split(".")[0]
                self.assert_rejected(f"{head}.{payload}.{signature}", self.other)
            self.assertEqual(looked.call_count, 1)
            token = self.token()
            looked.reset_mock()
            self.assert_accepted(token, self.other)
            self.assertEqual(looked.call_count, 1)

    def test_tokens_of_a_retired_key_do_not_cause_repeated_reads(self) -> None:
        with mock.patch.object(
            signing_keys, "list_unexpired", wraps=signing_keys.list_unexpired
        ) as looked:
            for _ in range(20):
                self.assert_rejected(self.first["auth_token"], self.other)
            # One read finds that the key is retired; its unknown id causes one more.
            self.assertLessEqual(looked.call_count, 2)

    def test_another_key_signs_at_once(self) -> None:
        self.assertNotEqual(kid_of(self.token()), self.retired)
        self.assert_accepted(self.token(), self.caller, self.other)
        self.assertNotIn(self.retired, self.kids())

    def test_the_feed_lists_a_retired_key_until_its_last_token_expires(self) -> None:
        self.assertEqual(self.retired_keys(), [self.retired])
        self.clock.shift(REFRESH_TOKEN_LIFETIME - timedelta(seconds=1))
        self.assertEqual(self.retired_keys(), [self.retired])
        self.clock.shift(timedelta(seconds=1))
        self.assertEqual(self.retired_keys(), [])

    def retired_keys(self) -> Any:
        """Return the retired keys of the feed."""
        return self.caller.get("/auth/revocations", SERVICE_TOKEN).body["data"]["retired_keys"]

    def test_retiring_twice_changes_nothing(self) -> None:
        self.clock.shift(timedelta(days=1))
        self.retire(self.retired)
        with self.app.app_context():
            key = db.session.scalars(select(SigningKey)).first()
            assert key is not None
            self.assertEqual(key.retired_at, NOON)
        with self.assertRaises(signing_keys.UnknownKey):
            self.retire("A" * 43)

    def test_a_published_key_replaces_a_retired_one(self) -> None:
        second = kid_of(self.token())
        self.clock.shift(LEAD)
        third = self.rotate()
        self.retire(str(second))
        self.assertEqual(kid_of(self.token()), third)
        self.assertEqual(self.kids(), [third])


class TestRefreshTokens(SigningKeysCase):
    """Signed with a key that is never published."""

    def test_no_published_key_verifies_a_refresh_token(self) -> None:
        for algorithm in Algorithm:
            with self.subTest(algorithm):
                caller = self.process(TOKEN_ALGORITHM=algorithm.value)
                token = caller.login().body["refresh_token"]
                header = {"alg": "HS256", "typ": "refresh+jwt"}
                self.assertEqual(jwt.get_unverified_header(token), header)
                with self.assertRaises(jwt.InvalidSignatureError):
                    jwt.decode(token, databases.SECRET_KEY, ["HS256"], audience="refresh")
                self.assert_rejected(token, caller)
                self.assertEqual(self.refresh(token, caller), 200)

    def test_older_refresh_tokens_are_accepted_until_they_expire(self) -> None:
        for algorithm in (Algorithm.HS256, Algorithm.ES256):
            with self.subTest(algorithm), self.signed_as_before():
                caller = self.process(TOKEN_ALGORITHM=algorithm.value)
                token = caller.login().body["refresh_token"]
                self.assertEqual(jwt.get_unverified_header(token)["alg"], algorithm.value)
            self.assertEqual(self.refresh(token, caller), 200)
            self.clock.shift(1)

    def signed_as_before(self) -> AbstractContextManager[object]:
        """Have refresh tokens signed by the key of access tokens."""
        keys = source.SigningKeySource
        sign = keys.signing_key
        return mock.patch.object(keys, "signing_key", lambda ring, _=None: sign(ring))

    def refresh(self, token: str, caller: Caller) -> int:
        """Refresh by a token; return the status."""
        return caller.post("/auth/refresh", {"refresh_token": token}).status

    def test_refresh_tokens_of_a_previous_secret_are_accepted(self) -> None:
        token = self.caller.login().body["refresh_token"]
        newer = databases.SECRET_KEY[::-1]
        after = self.process(SECRET_KEY=newer, SECRET_KEY_FALLBACKS=databases.SECRET_KEY)
        self.assertEqual(self.refresh(token, after), 200)
        with self.assertLogs("project.accounts.signing_keys.snapshot", "WARNING"):
            self.assertEqual(self.refresh(token, self.process(SECRET_KEY=newer)), 401)


class TestAlgorithm(SigningKeysCase):
    """The key decides how a token was signed, never the token."""

    def test_a_token_signed_with_the_public_key_as_secret_is_rejected(self) -> None:
        token = self.token()
        published = self.key_set()[0]
        claims = jwt.decode(token, options={"verify_signature": False})
        for secret in (published["x"], published["kid"], str(published)):
            for headers in ({}, {"kid": published["kid"]}):
                forged = jwt.encode(claims, secret.ljust(32), "HS256", headers=headers)
                self.assert_rejected(forged)

    def test_a_forged_key_with_a_known_kid_is_rejected(self) -> None:
        token = self.token()
        claims = jwt.decode(token, options={"verify_signature": False})
        for algorithm in (Algorithm.ES256, Algorithm.EDDSA):
            private = generate(algorithm)
            forged = jwt.encode(claims, private, algorithm, headers={"kid": kid_of(token)})
            self.assert_rejected(forged)
            self.assert_rejected(jwt.encode(claims, private, algorithm))
