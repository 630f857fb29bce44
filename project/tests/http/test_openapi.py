"""The API document, compared with the routes, with real responses and by a fuzzer."""

import json
import re
from typing import Any

import jsonschema_rs
import openapi_spec_validator
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import missing_required_header, positive_data_acceptance

from project.commands import accounts
from project.errors import ServiceError
from project.http import openapi
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.utils import InProcess, Reply

FUZZING = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class TestDocument(BaseTestCase):
    """The contents of the document, and responses that must match it."""

    def setUp(self) -> None:
        super().setUp()
        self.document: dict[str, Any] = self.caller.get("/openapi.json").body

    def operations(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Return every operation by its method and path."""
        return {
            (method.upper(), path): operation
            for path, operations in self.document["paths"].items()
            for method, operation in operations.items()
        }

    def assert_matches_document(self, method: str, path: str, reply: Reply) -> None:
        """Assert that a real response matches the document."""
        response = self.operations()[method, path]["responses"][str(reply.status)]
        for name in response["headers"]:
            self.assertIn(name, reply.headers)
        documented_schema = response["content"][reply.headers["Content-Type"]]["schema"]
        whole = documented_schema | {"components": self.document["components"]}
        jsonschema_rs.Draft202012Validator(whole, validate_formats=True).validate(reply.body)

    def test_the_document_is_valid_openapi_3_1(self) -> None:
        self.assertEqual(self.document["openapi"], "3.1.0")
        openapi_spec_validator.validate(self.document)
        schemathesis.openapi.from_wsgi("/openapi.json", self.app).validate()

    def test_the_document_has_exactly_the_routes_of_the_app(self) -> None:
        routes = {
            (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
            for rule in self.app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        }
        self.assertEqual(set(self.operations()), routes)

    def test_every_operation_has_a_summary(self) -> None:
        for name, operation in self.operations().items():
            with self.subTest(name):
                self.assertRegex(operation["summary"], r"^[A-Z].*\.$")
                self.assertIn("500", operation["responses"])

    def test_every_operation_has_a_described_tag_and_states_its_security(self) -> None:
        described = {tag["name"]: tag["description"] for tag in self.document["tags"]}
        self.assertLessEqual(set(described), set(openapi.TAGS))
        schemes = self.document["components"]["securitySchemes"]
        for name, operation in self.operations().items():
            with self.subTest(name):
                self.assertLessEqual(set(operation["tags"]), set(described))
                named = {key for item in operation["security"] for key in item}
                self.assertLessEqual(named, set(schemes))
        self.assertEqual(self.operations()["GET", "/ping"]["security"], [])
        self.assertEqual(self.operations()["GET", "/users"]["security"], [{"auth_token": []}])

    def test_a_public_list_of_users_needs_no_token(self) -> None:
        app = databases.bare_app("sqlite:////tmp/never.sqlite", USERS_PUBLIC=True)
        paths = openapi.build(app)["paths"]
        self.assertEqual(paths["/users"]["get"]["security"], [])
        self.assertEqual(paths["/users"]["post"]["security"], [{"auth_token": []}])

    def test_the_document_has_a_server_and_a_license(self) -> None:
        self.assertEqual([server["url"] for server in self.document["servers"]], ["/"])
        self.assertEqual(self.document["info"]["license"]["identifier"], "MIT")

    def test_no_parameter_is_nullable(self) -> None:
        for name, operation in self.operations().items():
            for parameter in operation.get("parameters", ()):
                with self.subTest(f"{name} {parameter['name']}"):
                    self.assertIn(parameter["schema"]["type"], ("string", "integer"))
                    self.assertNotEqual(parameter["schema"].get("default", 0), None)

    def test_the_examples_do_not_use_the_users_of_seed_db(self) -> None:
        for username, email in accounts.SEEDED_USERS:
            self.assertNotIn(f'"{username}"', json.dumps(self.document))
            self.assertNotIn(email, json.dumps(self.document))

    def test_the_document_has_every_error_code(self) -> None:
        codes = {error.code for error in openapi.iter_error_classes()}
        self.assertEqual(
            set(
                self.document["components"]["schemas"]["ErrorResponse"]["properties"]["code"][
                    "enum"
                ]
            ),
            codes,
        )
        documented = {
            code
            for operation in self.operations().values()
            for response in operation["responses"].values()
            for content in response.get("content", {}).values()
            for code in content.get("examples", {})
        }
        # These two occur outside of the operations; the introduction documents them.
        for code in codes - documented:
            self.assertIn(f"`{code}`", self.document["info"]["description"])
        self.assertLessEqual(codes - documented, {"not_found", "method_not_allowed"})

    def test_every_error_class_has_a_code_and_a_status(self) -> None:
        for member in openapi.iter_error_classes():
            self.assertTrue(issubclass(member, ServiceError))
            self.assertRegex(member.code, r"^[a-z_]+$")
            self.assertGreaterEqual(member.status, 400)

    def test_every_example_matches_its_schema(self) -> None:
        seen = 0
        for operation in self.operations().values():
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    whole = content["schema"] | {"components": self.document["components"]}
                    validator = jsonschema_rs.Draft202012Validator(whole)
                    for example in content.get("examples", {}).values():
                        validator.validate(example["value"])
                        seen += 1
        self.assertGreater(seen, 30)

    def test_real_responses_match_the_document(self) -> None:
        admin = self.add_token(self.add_user(admin=True))
        registered = self.caller.register()
        token = registered.body["auth_token"]
        refresh = {"refresh_token": registered.body["refresh_token"]}
        new = {"username": "new", "email": "new@example.com", "password": "test"}
        for method, path, reply in (
            ("POST", "/auth/register", registered),
            ("POST", "/auth/register", self.caller.register()),
            ("POST", "/auth/register", self.caller.post("/auth/register", {"email": 1})),
            ("POST", "/auth/login", self.caller.login()),
            ("POST", "/auth/login", self.caller.login(password="wrong")),
            ("POST", "/auth/login", self.caller.post("/auth/login", {"email": "x" * 20_000})),
            ("POST", "/auth/refresh", self.caller.post("/auth/refresh", refresh)),
            ("POST", "/auth/refresh", self.caller.post("/auth/refresh", {"refresh_token": token})),
            ("POST", "/auth/refresh", self.caller.post("/auth/refresh", {})),
            ("GET", "/auth/status", self.caller.status(token)),
            ("GET", "/auth/status", self.caller.status()),
            ("GET", "/auth/status", self.caller.status("x")),
            ("GET", "/auth/logout", self.caller.logout()),
            ("GET", "/auth/logout", self.caller.logout(token)),
            ("GET", "/auth/logout", self.caller.logout(token)),
            ("POST", "/auth/logout", self.caller.post("/auth/logout")),
            ("POST", "/auth/logout", self.caller.post("/auth/logout", {"scope": 1}, admin)),
            ("POST", "/auth/logout", self.caller.post("/auth/logout", {"scope": "others"}, admin)),
            ("GET", "/auth/sessions", self.caller.get("/auth/sessions", admin)),
            (
                "DELETE",
                "/auth/sessions/{session_id}",
                self.caller.call("DELETE", "/auth/sessions/x", token=admin),
            ),
            ("GET", "/users", self.caller.get("/users", admin)),
            ("GET", "/users", self.caller.get("/users?limit=1", admin)),
            ("GET", "/users", self.caller.get("/users?limit=0", admin)),
            ("POST", "/users", self.caller.post("/users", new, admin)),
            ("POST", "/users", self.caller.post("/users", new, admin)),
            ("GET", "/users/{user_id}", self.caller.get("/users/x", admin)),
            ("GET", "/ping", self.caller.get("/ping")),
            ("GET", "/openapi.json", self.caller.get("/openapi.json")),
        ):
            with self.subTest(f"{method} {path} {reply.status}"):
                self.assert_matches_document(method, path, reply)

    def test_the_files_of_the_page_are_served_and_can_be_cached(self) -> None:
        for asset, media_type in (
            ("docs.js", "text/javascript"),
            ("swagger-ui-bundle.js", "text/javascript"),
            ("swagger-ui.css", "text/css"),
            ("favicon-32x32.png", "image/png"),
        ):
            reply = self.caller.get(f"/docs/{asset}")
            self.assertEqual(reply.status, 200)
            self.assertTrue(reply.headers["Content-Type"].startswith(media_type))
            self.assertIn("max-age=3600", reply.headers["Cache-Control"])
            tag = {"If-None-Match": reply.headers["ETag"]}
            self.assertEqual(self.caller.get(f"/docs/{asset}", **tag).status, 304)

    def test_the_page_can_only_run_its_own_files(self) -> None:
        reply = self.caller.get("/docs")
        self.assertTrue(reply.headers["Content-Type"].startswith("text/html"))
        policy = reply.headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        self.assertNotIn("http", policy)

    def test_the_request_examples_are_valid_requests(self) -> None:
        for name, path in (("RegisterRequest", "/auth/register"), ("LoginRequest", "/auth/login")):
            properties = self.document["components"]["schemas"][name]["properties"]
            payload = {field: properties[field]["examples"][0] for field in properties}
            self.assertIn(self.caller.post(path, payload).status, (200, 201))


# Checks of the fuzzer that contradict the contract.
EXCLUDED_CHECKS = (
    positive_data_acceptance,  # a valid registration of an existing name is a 400
    missing_required_header,  # logout without a token is a 403
)


@pytest.mark.slow
class TestFuzzed(BaseTestCase):
    """Every operation, called with valid and with invalid input."""

    def start(self, **overrides: object) -> None:
        """Start an app and load its document."""
        # A separate database and a long token lifetime, so that the administrator remains.
        self.app = databases.new_app(
            None, TOKEN_EXPIRATION_SECONDS=600, THROTTLE_LOGINS="1000000/15m", **overrides
        )
        self.caller = InProcess(self.app.test_client())
        self.add_user("admin", "admin@example.com", admin=True)
        self.token = ""
        self.document = schemathesis.openapi.from_wsgi("/openapi.json", self.app)

    def setUp(self) -> None:
        pass

    def test_every_response_about_invitations_is_documented(self) -> None:
        self.start(REGISTRATION="invited")
        openapi_spec_validator.validate(openapi.build(self.app))
        for result in self.document.get_all_operations():
            assert isinstance(result, Ok)
            if result.ok().label.startswith("POST /auth/invitations"):
                with self.subTest(result.ok().label):
                    self.fuzz(result.ok())

    def test_every_response_is_documented(self) -> None:
        self.start(EMAIL_LOGIN=True)
        labels = []
        for result in self.document.get_all_operations():
            assert isinstance(result, Ok)
            operation = result.ok()
            labels.append(operation.label)
            with self.subTest(operation.label):
                self.fuzz(operation)
        paths = openapi.build(self.app)["paths"]
        served = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
        self.assertEqual(set(labels), served - {"GET /openapi.json"})

    def fuzz(self, operation: APIOperation[Any, Any, Any, Any]) -> None:
        """Call an operation as an administrator, and compare every response with the document."""
        good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        bad = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

        @FUZZING
        @given(good if not has_input(operation) else good | bad)
        def call(case: schemathesis.Case[Any]) -> None:
            if case.path != "/auth/logout":
                case.headers.setdefault("Authorization", f"Bearer {self.open_session()}")
            case.call_and_validate(excluded_checks=list(EXCLUDED_CHECKS))

        call()

    def open_session(self) -> str:
        """Return an access token of the administrator; log in only if the last one has ended."""
        if self.caller.status(self.token).status != 200:
            self.token = self.caller.login("admin@example.com").body["auth_token"]
        return self.token


def has_input(operation: APIOperation[Any, Any, Any, Any]) -> bool:
    """Return whether an operation has any input that could be invalid."""
    return bool(operation.body or operation.query or operation.path_parameters)


def test_the_fuzzer_runs_the_checks_that_matter() -> None:
    """Assert that the fuzzer runs the checks that matter."""
    names = {check.__name__ for check in CHECKS.get_all()}
    assert names >= {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
    }
