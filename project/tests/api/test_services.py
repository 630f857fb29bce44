"""For other services: introspection and forward auth."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from unittest import mock
from urllib.parse import quote_plus, urlencode

import jwt
import time_machine

from project.accounts import lifecycle
from project.security import digests
from project.tests.base import BaseTestCase
from project.tests.support.contract import (
    EXPIRED_TOKEN,
    INACTIVE_USER,
    INVALID_SERVICE_TOKEN,
    MISSING_TOKEN,
)
from project.tests.utils import Reply

SERVICE_TOKEN = "a token of another service"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded"


class TestIntrospection(BaseTestCase):
    """By RFC 7662."""

    overrides: ClassVar[dict[str, object]] = {
        "SERVICE_TOKENS": ",".join(digests.sha256(token) for token in ("older", SERVICE_TOKEN))
    }

    def introspect(self, token: str, by: str = SERVICE_TOKEN) -> Reply:
        """Introspect a token (RFC 7662)."""
        headers = {"Content-Type": FORM, "Authorization": f"Bearer {by}"}
        body = urlencode({"token": token, "token_type_hint": "access_token"}).encode()
        return self.caller.send("POST", "/auth/introspect", body, headers)

    def assert_inactive(self, token: str) -> None:
        """Assert that introspection returns `{"active": false}` and nothing else."""
        reply = self.introspect(token)
        self.assertEqual((reply.status, reply.raw), (200, b'{"active":false}'))

    def test_a_good_token_is_told_of(self) -> None:
        user_id = self.add_user(admin=True)
        token = self.add_token(user_id)
        reply = self.introspect(token)
        self.assertEqual(reply.status, 200)
        body = reply.body
        self.assertIn(body.pop("exp") - body.pop("iat"), (300, 301))
        self.assertRegex(body.pop("sid"), r"^[0-9a-f]{32}$")
        self.assertEqual(
            body,
            {
                "active": True,
                "sub": str(user_id),
                "username": "michael",
                "email": "michael@example.com",
                "email_verified": False,
                "admin": True,
                "token_type": "Bearer",
            },
        )

    def test_json_is_taken_too(self) -> None:
        token = self.add_token(self.add_user())
        reply = self.caller.post("/auth/introspect", {"token": token}, SERVICE_TOKEN)
        self.assertEqual((reply.status, reply.body["active"]), (200, True))

    def test_every_configured_token_may_ask(self) -> None:
        self.assertEqual(self.introspect("x", by="older").status, 200)

    def test_a_token_that_is_not_good_is_inactive(self) -> None:
        user_id = self.add_user()
        ended, good = self.add_token(user_id), self.add_token(user_id)
        self.caller.logout(ended)
        self.assert_inactive(ended)
        self.assert_inactive(self.add_token(user_id, age=timedelta(hours=1)))
        self.assert_inactive(self.caller.login().body["refresh_token"])
        for token in ("", "x", "a.b.c", good + "=", good[:-1]):
            self.assert_inactive(token)
        self.set_user(user_id, active=False)
        self.assert_inactive(good)
        self.delete_user(user_id)
        self.assert_inactive(good)

    def test_nobody_else_may_ask(self) -> None:
        token = self.add_token(self.add_user(admin=True))
        for by in (token, "x", SERVICE_TOKEN.upper(), digests.sha256(SERVICE_TOKEN)):
            reply = self.introspect(token, by)
            self.assert_error(reply, 401, INVALID_SERVICE_TOKEN, "service_token_invalid")
            challenge = 'Bearer realm="users", error="invalid_token"'
            self.assertEqual(reply.headers["WWW-Authenticate"], challenge)
        reply = self.caller.post("/auth/introspect", {"token": token})
        self.assert_error(reply, 401, MISSING_TOKEN, "token_missing")

    def by_basic(self, client_id: str, secret: str) -> dict[str, str]:
        """Return the header fields of HTTP Basic, with both parts encoded as the RFC says."""
        pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
        return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

    def ask(self, fields: Mapping[str, str], **headers: str) -> Reply:
        """Send a form as it stands."""
        body = urlencode(fields).encode()
        return self.caller.send("POST", "/auth/introspect", body, {"Content-Type": FORM} | headers)

    def test_http_basic_is_accepted_and_its_client_logged(self) -> None:
        token = self.add_token(self.add_user())
        with self.assertLogs("project.http.access_log", "DEBUG") as logged:
            reply = self.ask({"token": token}, **self.by_basic("orders: ü", SERVICE_TOKEN))
        self.assertIs(reply.body["active"], True)
        self.assertEqual(logged.records[0].__dict__["client_id"], "orders: ü")
        self.assertEqual(self.ask({"token": "x"}, **self.by_basic("", "older")).status, 200)

    def test_a_client_secret_in_the_form_is_accepted(self) -> None:
        token = self.add_token(self.add_user())
        form = {"token": token, "client_id": "orders", "client_secret": SERVICE_TOKEN}
        with self.assertLogs("project.http.access_log", "DEBUG") as logged:
            self.assertIs(self.ask(form).body["active"], True)
        self.assertEqual(logged.records[0].__dict__["client_id"], "orders")

    def test_a_wrong_client_secret(self) -> None:
        for fields, headers, challenge in (
            ({"client_secret": "x"}, {}, 'Bearer realm="users", error="invalid_token"'),
            ({"client_secret": ""}, {}, 'Bearer realm="users", error="invalid_token"'),
            ({}, self.by_basic("orders", "x"), 'Basic realm="users", charset="UTF-8"'),
            ({}, self.by_basic(SERVICE_TOKEN, ""), 'Basic realm="users", charset="UTF-8"'),
            ({"client_secret": SERVICE_TOKEN}, self.by_basic("orders", "x"),
             'Basic realm="users", charset="UTF-8"'),
            ({"client_secret": SERVICE_TOKEN}, {"Authorization": "Bearer"},
             'Bearer realm="users", error="invalid_token"'),
            ({}, {"Authorization": "Basic é"}, 'Basic realm="users", charset="UTF-8"'),
            ({}, {"Authorization": "Basic /w=="}, 'Basic realm="users", charset="UTF-8"'),
            ({}, {"Authorization": "Basic"}, 'Basic realm="users", charset="UTF-8"'),
        ):  # fmt: skip
            with self.subTest(fields, headers=headers):
                reply = self.ask({"token": "x"} | fields, **headers)
                self.assert_error(reply, 401, INVALID_SERVICE_TOKEN, "service_token_invalid")
                self.assertEqual(reply.headers["WWW-Authenticate"], challenge)

    def test_a_multipart_form_is_told_which_form_is_expected(self) -> None:
        body = b'--x\r\nContent-Disposition: form-data; name="token"\r\n\r\na\r\n--x--\r\n'
        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        for headers in ({}, self.by_basic("orders", SERVICE_TOKEN)):
            reply = self.caller.send("POST", "/auth/introspect", body, kind | headers)
            message = "Unsupported media type. Send application/x-www-form-urlencoded."
            self.assert_error(reply, 415, message, "unsupported_media_type")

    def test_what_is_no_question(self) -> None:
        headers = {"Content-Type": FORM, "Authorization": f"Bearer {SERVICE_TOKEN}"}
        for body, fault in (
            (b"", ("token", "missing")),
            (b"token", ("", "invalid_form")),
            (b"token=a&token=b", ("", "invalid_form")),
            (b"token=%ff", ("", "invalid_form")),
            (b"\xff=1", ("", "invalid_form")),
            (b"&".join(b"a%d=1" % number for number in range(30)), ("", "invalid_form")),
            (b"tokens=a", ("token", "missing")),
            (b"token=%00", ("token", "invalid_text")),
        ):
            with self.subTest(body):
                reply = self.caller.send("POST", "/auth/introspect", body, headers)
                self.assert_field_errors(reply, fault)


class TestServerMetadata(BaseTestCase):
    """By RFC 8414, where there is an issuer."""

    overrides: ClassVar[dict[str, object]] = {
        "TOKEN_ISSUER": "https://example.com/users",
        "SERVICE_TOKENS": digests.sha256(SERVICE_TOKEN),
        "TOKEN_EXPIRATION_SECONDS": 60,
    }
    PATH = "/.well-known/oauth-authorization-server"

    def test_it_names_the_issuer_and_where_to_ask(self) -> None:
        reply = self.caller.get(self.PATH)
        self.assertEqual(reply.headers["Cache-Control"], "public, max-age=300")
        self.assertEqual(
            reply.body,
            {
                "issuer": "https://example.com/users",
                "jwks_uri": "https://example.com/users/.well-known/jwks.json",
                "introspection_endpoint": "https://example.com/users/auth/introspect",
                "introspection_endpoint_auth_methods_supported": [
                    "client_secret_basic",
                    "client_secret_post",
                    "Bearer",
                ],
                "response_types_supported": [],
                "grant_types_supported": [],
            },
        )

    def test_tokens_and_introspection_name_the_issuer(self) -> None:
        self.add_user()
        token = self.caller.login().body["auth_token"]
        said = jwt.decode(token, options={"verify_signature": False})
        self.assertEqual(
            (said["iss"], said["client_id"]), ("https://example.com/users", "first-party")
        )
        self.assertEqual(self.caller.status(token).status, 200)
        reply = self.caller.post("/auth/introspect", {"token": token}, SERVICE_TOKEN)
        self.assertEqual(reply.body["iss"], "https://example.com/users")

    def test_tokens_from_before_are_good(self) -> None:
        user_id = self.add_user()
        with self.app.app_context(), mock.patch.dict(self.app.config, TOKEN_ISSUER=None):
            token = self.add_token(user_id)
        self.assertNotIn("iss", jwt.decode(token, options={"verify_signature": False}))
        self.assertEqual(self.caller.status(token).status, 200)


class TestNoIssuer(BaseTestCase):
    """Without TOKEN_ISSUER there is no metadata and no new claim."""

    def test_there_is_no_metadata_and_tokens_have_no_new_claim(self) -> None:
        reply = self.caller.get(TestServerMetadata.PATH)
        self.assert_error(reply, 404, "Not found.", "not_found")
        token = self.add_token(self.add_user())
        said = jwt.decode(token, options={"verify_signature": False})
        self.assertEqual([*said], ["sub", "sid", "jti", "iat", "exp", "aud"])
        self.assertEqual(jwt.get_unverified_header(token), {"alg": "HS256", "typ": "JWT"})


class TestRevocations(BaseTestCase):
    """The feed of ended sessions."""

    overrides: ClassVar[dict[str, object]] = {
        "SERVICE_TOKENS": digests.sha256(SERVICE_TOKEN),
        "TOKEN_EXPIRATION_SECONDS": 3600,
    }

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.enterContext(time_machine.travel(NOON, tick=False))
        self.user_id = self.add_user()
        self.start = self.feed()["next"]

    def test_the_session_of_a_user_who_is_out_of_use_has_ended_when_it_begins(self) -> None:
        self.set_user(self.user_id, active=False)
        token = self.caller.login().body["auth_token"]
        self.assert_error(self.caller.status(token), 401, INACTIVE_USER, "user_inactive")
        sid = jwt.decode(token, options={"verify_signature": False})["sid"]
        self.assertIn(sid, self.feed(self.start)["session_ids"])

    def feed(self, after: int = 0) -> dict[str, Any]:
        """Read the feed from a place on."""
        reply = self.caller.get(f"/auth/revocations?after={after}", SERVICE_TOKEN)
        data: dict[str, Any] = self.assert_success(reply, 200)["data"]
        return data

    def login(self) -> tuple[str, str]:
        """Log in; return the token and its session's id."""
        token = self.caller.login().body["auth_token"]
        sid = self.caller.post("/auth/introspect", {"token": token}, SERVICE_TOKEN).body["sid"]
        return token, sid

    def test_ended_sessions_are_told_in_the_order_of_their_ending(self) -> None:
        first, second, third = self.login(), self.login(), self.login()
        self.caller.logout(second[0])
        self.caller.logout(first[0])
        self.assertEqual(self.feed(self.start)["session_ids"], [second[1], first[1]])
        self.caller.post("/auth/logout", {"scope": "all"}, third[0])
        self.assertEqual(self.feed(self.start)["session_ids"][2:], [third[1]])

    def test_a_sessions_id_is_spelled_as_in_its_tokens_wherever_it_is_told(self) -> None:
        token, introspected = self.login()
        claim = jwt.decode(token, options={"verify_signature": False})["sid"]
        (listed,) = self.caller.get("/auth/sessions", token).body["data"]["sessions"]
        self.caller.call("DELETE", f"/auth/sessions/{claim}", token=token)
        fed = self.feed(self.start)["session_ids"]
        self.assertEqual([introspected, listed["id"], *fed], [claim] * 3)

    def test_every_way_of_ending_a_session_is_told(self) -> None:
        login = self.caller.login().body
        refreshed = self.caller.post(
            "/auth/refresh", {"refresh_token": login["refresh_token"]}
        ).body
        self.caller.post("/auth/refresh", {"refresh_token": refreshed["refresh_token"]})
        self.caller.post("/auth/refresh", {"refresh_token": login["refresh_token"]})
        self.assertEqual(len(self.feed(self.start)["session_ids"]), 1)
        for end in (lifecycle.deactivate, lifecycle.remove):
            with self.app.app_context():
                lifecycle.activate("michael@example.com")
            _, sid = self.login()
            with self.app.app_context():
                self.assertEqual(end("Michael@example.com"), 1)
            self.assertEqual(self.feed(self.start)["session_ids"][-1], sid)

    def test_the_next_place_waits_until_the_young_have_settled(self) -> None:
        token, sid = self.login()
        self.caller.logout(token)
        young = self.feed(self.start)
        self.assertEqual((young["session_ids"], young["next"]), ([sid], self.start))
        self.clock.shift(timedelta(seconds=10))
        settled = self.feed(young["next"])
        self.assertEqual(settled["session_ids"], [sid])
        self.assertGreater(settled["next"], self.start)
        after = self.feed(settled["next"])
        self.assertEqual((after["session_ids"], after["next"]), ([], settled["next"]))

    def test_what_has_expired_is_not_told_any_more(self) -> None:
        token, _ = self.login()
        self.caller.logout(token)
        self.clock.shift(timedelta(days=366))
        self.assertEqual(self.feed(self.start)["session_ids"], [])

    def test_who_has_the_answer_already_is_told_so(self) -> None:
        def ask(**headers: str) -> Reply:
            return self.caller.get("/auth/revocations", SERVICE_TOKEN, **headers)

        first = ask()
        self.assertEqual(first.headers["Cache-Control"], "private, no-cache")
        tag = {"If-None-Match": first.headers["ETag"]}
        self.assertEqual((ask(**tag).status, ask(**tag).raw), (304, b""))
        self.caller.logout(self.login()[0])
        self.assertEqual(ask(**tag).status, 200)

    def test_it_is_for_other_services_alone(self) -> None:
        reply = self.caller.get("/auth/revocations", self.login()[0])
        self.assert_error(reply, 401, INVALID_SERVICE_TOKEN, "service_token_invalid")

    def test_a_place_that_cannot_be(self) -> None:
        for place in ("-1", "x", "2147483648", "9" * 30):
            reply = self.caller.get(f"/auth/revocations?after={place}", SERVICE_TOKEN)
            self.assertEqual((reply.status, reply.body["code"]), (400, "invalid_payload"))

    def test_an_unknown_parameter_is_an_error(self) -> None:
        reply = self.caller.get("/auth/revocations?since=1", SERVICE_TOKEN)
        self.assert_field_errors(reply, ("since", "unknown_parameter"))


class TestNoServices(BaseTestCase):
    """Without SERVICE_TOKENS."""

    def test_nobody_may_introspect(self) -> None:
        for token in ("", "x"):
            reply = self.caller.post("/auth/introspect", {"token": "x"}, token)
            self.assert_error(reply, 401, INVALID_SERVICE_TOKEN, "service_token_invalid")


class TestForwardAuth(BaseTestCase):
    """For a proxy before another service."""

    def test_a_good_token_passes_with_whose_it_is(self) -> None:
        user_id = self.add_user()
        reply = self.caller.get("/auth/forward", self.add_token(user_id))
        self.assert_success(reply, 200, "Authenticated.")
        identity_fields = {
            name: value for name, value in reply.headers if name.startswith("X-Auth-")
        }
        self.assertEqual(
            identity_fields,
            {
                "X-Auth-User-Id": str(user_id),
                "X-Auth-Username": "michael",
                "X-Auth-Email": "michael@example.com",
                "X-Auth-Email-Verified": "false",
                "X-Auth-Admin": "false",
            },
        )

    def test_a_name_that_is_not_ascii_is_percent_encoded(self) -> None:
        user_id = self.add_user("名 100% \u2028x", "ü@example.com", admin=True)
        reply = self.caller.get("/auth/forward", self.add_token(user_id))
        self.assertEqual(reply.headers["X-Auth-Username"], "%E5%90%8D 100%25 %E2%80%A8x")
        self.assertEqual(reply.headers["X-Auth-Email"], "%C3%BC@example.com")
        self.assertEqual(reply.headers["X-Auth-Admin"], "true")

    def test_a_token_that_is_not_good_does_not_pass(self) -> None:
        user_id = self.add_user()
        expired = self.add_token(user_id, age=timedelta(hours=1))
        good = self.add_token(user_id)
        reply = self.caller.get("/auth/forward")
        self.assert_error(reply, 401, MISSING_TOKEN, "token_missing")
        self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="users"')
        reply = self.caller.get("/auth/forward", expired)
        self.assert_error(reply, 401, EXPIRED_TOKEN, "token_expired")
        self.set_user(user_id, active=False)
        reply = self.caller.get("/auth/forward", good)
        self.assert_error(reply, 401, INACTIVE_USER, "user_inactive")
        self.assertNotIn("X-Auth-User-Id", reply.headers)
