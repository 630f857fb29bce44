"""The verifier's guards for FastAPI, tested with the example of the README."""

import asyncio
import json
import re
from typing import Any

from fastapi import FastAPI

from project.tests.support import fake_service
from project.tests.support.fake_service import PAYLOAD, TOKEN, FakeServiceCase
from project.tests.support.paths import ROOT

PAGE = (ROOT / "clients" / "python" / "README.md").read_text()


class TestFastAPI(FakeServiceCase):
    """A small service with two guarded routes."""

    def setUp(self) -> None:
        super().setUp()
        shown = re.search(r"## FastAPI\n\n```python\n(.*?)```", PAGE, re.DOTALL)
        assert shown is not None
        source = shown[1].replace("https://users.internal:5000", self.recorder.url)
        names: dict[str, Any] = {"__name__": __name__}
        exec(source.replace("…", "abc"), names)
        self.enterContext(names["verifier"])
        self.app: FastAPI = names["app"]

    def get(self, path: str, token: str | None = None) -> tuple[int, Any, dict[str, str]]:
        """Send a GET request by ASGI; return status, body and header fields."""
        fields = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "headers": fields, "client": ("127.0.0.1", 1), "server": ("x", 80),
        }  # fmt: skip
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], json.loads(sent[1]["body"]), headers

    def test_the_route_receives_the_principal(self) -> None:
        status, body, _ = self.get("/orders", TOKEN)
        self.assertEqual((status, body), (200, {"orders_of": 7}))

    def test_a_missing_token_and_an_ended_session_are_rejected(self) -> None:
        status, body, headers = self.get("/orders")
        self.assertEqual((status, body["code"]), (401, "token_missing"))
        self.assertEqual(headers["www-authenticate"], "Bearer")
        self.service.session_ids = [PAYLOAD["sid"]]
        status, body, _ = self.get("/orders", TOKEN)
        self.assertEqual((status, body["code"]), (401, "session_ended"))

    def test_other_users_get_403_on_a_route_for_administrators(self) -> None:
        self.service.status = fake_service.user_reply(admin=True)
        status, body, _ = self.get("/reports", TOKEN)
        self.assertEqual((status, body), (200, {"reports_for": "ada"}))
        self.service.status = fake_service.user_reply(admin=False)
        status, body, _ = self.get("/reports", TOKEN)
        self.assertEqual((status, body["code"]), (403, "not_permitted"))
