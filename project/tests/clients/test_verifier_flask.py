"""The verifier's guards for Flask, tested with the example of the README."""

import re

from flask import Flask
from werkzeug.test import TestResponse

from project.tests.support import fake_service
from project.tests.support.fake_service import FEED, PAYLOAD, STATUS, TOKEN, FakeServiceCase
from project.tests.support.paths import ROOT

PAGE = (ROOT / "clients" / "python" / "README.md").read_text()


class TestFlask(FakeServiceCase):
    """A small service with one guarded view."""

    def setUp(self) -> None:
        super().setUp()
        shown = re.search(r"## Flask\n\n```python\n(.*?)```", PAGE, re.DOTALL)
        assert shown is not None
        source = shown[1].replace("https://users.internal:5000", self.recorder.url)
        names: dict[str, object] = {"__name__": __name__}
        exec(source.replace("…", "abc"), names)
        app, verifier = names["app"], names["verifier"]
        assert isinstance(app, Flask)
        self.client = app.test_client()
        self.enterContext(verifier)  # type: ignore[arg-type]  # from the README

    def get(self, path: str = "/orders", **headers: str) -> TestResponse:
        """Send a GET request."""
        return self.client.get(path, headers=headers)

    def assert_error(self, reply: TestResponse, code: str, message: str, challenge: str) -> None:
        """Assert that an error uses the envelope of the service."""
        envelope = {"status": "error", "message": message, "code": code}
        self.assertEqual((reply.status_code, reply.json), (401, envelope))
        self.assertEqual(reply.headers["WWW-Authenticate"], challenge)
        self.assertEqual(reply.content_type, "application/json")

    def test_the_view_receives_the_principal(self) -> None:
        reply = self.get(Authorization=f"Bearer {TOKEN}")
        self.assertEqual((reply.status_code, reply.json), (200, {"orders_of": 7}))

    def test_a_missing_token_is_rejected(self) -> None:
        self.assert_error(self.get(), "token_missing", "Provide a valid auth token.", "Bearer")

    def test_an_invalid_token_and_an_ended_session_are_rejected(self) -> None:
        message, challenge = "Invalid token. Please log in again.", 'Bearer error="invalid_token"'
        reply = self.get(Authorization=f"Bearer {TOKEN}x")
        self.assert_error(reply, "token_invalid", message, challenge)
        self.service.session_ids = [PAYLOAD["sid"]]
        reply = self.get(Authorization=f"Bearer {TOKEN}")
        self.assert_error(reply, "session_ended", message, challenge)

    def test_an_outage_of_the_service_returns_503(self) -> None:
        self.service.unreachable = {FEED, STATUS}
        reply = self.get(Authorization=f"Bearer {TOKEN}")
        self.assertEqual((reply.status_code, reply.headers["Retry-After"]), (503, "1"))
        self.assertEqual(reply.json and reply.json["code"], "unavailable")

    def test_other_users_get_403_on_a_view_for_administrators(self) -> None:
        for admin, status in ((True, 200), (False, 403)):
            self.service.status = fake_service.user_reply(admin=admin)
            reply = self.get("/reports", Authorization=f"Bearer {TOKEN}")
            self.assertEqual(reply.status_code, status)
        self.assertEqual(reply.json and reply.json["code"], "not_permitted")
        self.assertEqual(self.get("/reports").status_code, 401)
