"""Requests generated from the API document alone, most of which must succeed."""

from collections import Counter
from typing import Any, ClassVar

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode

from project.tests.base import BaseTestCase

EXAMPLES = 50
GENERATING = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class TestGeneratedRequests(BaseTestCase):
    """Requests generated from a schema without its examples."""

    overrides: ClassVar[dict[str, object]] = {"THROTTLE_ENABLED": False}

    def test_most_generated_registrations_succeed(self) -> None:
        codes = self.register(self.generated("/auth/register"))
        # The generator can repeat a body: registering a user again is a valid request too.
        # Unassigned code points are invalid, and no pattern can list them all.
        self.assertGreater(codes["success"], EXAMPLES * 0.1, codes)
        self.assertGreater(codes["success"] + codes["user_exists"], EXAMPLES * 0.5, codes)

    def register(self, bodies: list[Any]) -> Counter[str]:
        """Register every body; return the count of each outcome."""
        replies = [self.caller.post("/auth/register", body).body for body in bodies]
        return Counter(reply.get("code", reply["status"]) for reply in replies)

    def generated(self, path: str) -> list[Any]:
        """Return generated bodies for an operation."""
        operation = schemathesis.openapi.from_dict(self.document_of(path))[path]["POST"]
        bodies = []

        @GENERATING
        @given(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
        def collect(case: schemathesis.Case[Any]) -> None:
            bodies.append(case.body)

        collect()
        return bodies

    def document_of(self, path: str) -> dict[str, Any]:
        """Return the document with one operation only, without the examples of its schema."""
        whole = self.caller.get("/openapi.json").body
        body = whole["paths"][path]["post"]["requestBody"]
        schema = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for field in whole["components"]["schemas"][schema]["properties"].values():
            del field["examples"]
        operation = {"requestBody": body, "responses": {"201": {"description": "Created"}}}
        return {
            "openapi": whole["openapi"],
            "info": whole["info"],
            "paths": {path: {"post": operation}},
            "components": {"schemas": {schema: whole["components"]["schemas"][schema]}},
        }
