"""The contract of register, login, logout and status, run in process and against real servers."""

from datetime import timedelta

from project.tests.base import BaseTestCase
from project.tests.utils import PASSWORD, Reply

INVALID_TOKEN = "Invalid token. Please log in again."
INVALID_SERVICE_TOKEN = "Invalid service token."
EXPIRED_TOKEN = "Signature expired. Please log in again."
MISSING_TOKEN = "Provide a valid auth token."
INACTIVE_USER = "Something went wrong. Please contact us."
USER_EXISTS = "Sorry. That user already exists."


class AuthContract(BaseTestCase):
    """Responses that clients rely on, whichever server runs the service."""

    __test__ = False

    def assert_token(self, reply: Reply, status: int, message: str) -> str:
        """Assert that a response contains a valid token; return the token."""
        body = self.assert_success(reply, status, message)
        self.assertEqual(body["token_type"], "Bearer")
        self.assertEqual(reply.headers["Cache-Control"], "no-store")
        self.assertEqual(self.caller.status(body["auth_token"]).status, 200)
        return str(body["auth_token"])

    def test_registration(self) -> None:
        self.assert_token(self.caller.register(), 201, "Successfully registered.")

    def test_registration_with_a_taken_email(self) -> None:
        self.add_user("michael", "test@test.com")
        reply = self.caller.register("another", "test@test.com")
        self.assert_error(reply, 400, USER_EXISTS, "user_exists")

    def test_registration_with_a_taken_username(self) -> None:
        self.add_user("justatest", "michael@example.com")
        reply = self.caller.register("justatest", "test@test.com2")
        self.assert_error(reply, 400, USER_EXISTS, "user_exists")

    def test_registration_with_an_empty_object(self) -> None:
        reply = self.caller.post("/auth/register", {})
        self.assert_field_errors(
            reply, ("username", "missing"), ("email", "missing"), ("password", "missing")
        )

    def test_registration_without_a_body(self) -> None:
        self.assert_field_errors(self.caller.post("/auth/register"), ("", "missing"))

    def test_registration_without_a_username(self) -> None:
        reply = self.caller.post("/auth/register", {"email": "a@b.c", "password": "test"})
        self.assert_field_errors(reply, ("username", "missing"))

    def test_registration_without_an_email(self) -> None:
        reply = self.caller.post("/auth/register", {"username": "a", "password": "test"})
        self.assert_field_errors(reply, ("email", "missing"))

    def test_registration_without_a_password(self) -> None:
        reply = self.caller.post("/auth/register", {"username": "a", "email": "a@b.c"})
        self.assert_field_errors(reply, ("password", "missing"))

    def test_login(self) -> None:
        self.add_user()
        self.assert_token(self.caller.login(), 200, "Successfully logged in.")

    def test_login_of_an_unknown_user(self) -> None:
        reply = self.caller.login()
        self.assert_error(reply, 404, "User does not exist.", "invalid_credentials")

    def test_wrong_password_and_unknown_user_get_the_same_response(self) -> None:
        self.add_user()
        unknown = self.caller.login("nobody@example.com", PASSWORD)
        wrong = self.caller.login(password="wrong")
        self.assertEqual((wrong.status, wrong.raw), (unknown.status, unknown.raw))

    def test_login_without_a_body(self) -> None:
        self.assert_field_errors(self.caller.post("/auth/login"), ("", "missing"))

    def test_login_with_an_empty_object(self) -> None:
        reply = self.caller.post("/auth/login", {})
        self.assert_field_errors(reply, ("email", "missing"), ("password", "missing"))

    def test_token_of_an_inactive_user_is_rejected(self) -> None:
        self.add_user(active=False)
        body = self.assert_success(self.caller.login(), 200, "Successfully logged in.")
        for path in ("/auth/status", "/auth/logout"):
            reply = self.caller.get(path, body["auth_token"])
            self.assert_error(reply, 401, INACTIVE_USER, "user_inactive")

    def test_logout(self) -> None:
        token = self.add_token(self.add_user())
        self.assert_success(self.caller.logout(token), 200, "Successfully logged out.")
        for path in ("/auth/status", "/auth/logout"):
            reply = self.caller.get(path, token)
            self.assert_error(reply, 401, INVALID_TOKEN, "session_ended")

    def test_logout_without_a_token(self) -> None:
        reply = self.caller.logout()
        self.assert_error(reply, 403, MISSING_TOKEN, "token_missing")
        self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="users"')

    def test_logout_with_an_expired_token(self) -> None:
        token = self.add_token(self.add_user(), age=timedelta(hours=1))
        self.assert_error(self.caller.logout(token), 401, EXPIRED_TOKEN, "token_expired")

    def test_logout_with_an_invalid_token(self) -> None:
        self.assert_error(self.caller.logout("invalid"), 401, INVALID_TOKEN, "token_invalid")

    def test_status(self) -> None:
        user_id = self.add_user()
        reply = self.caller.status(self.add_token(user_id))
        body = self.assert_success(reply, 200)
        self.assertRegex(body["data"].pop("created_at"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(body["data"].pop("id"), user_id)
        self.assertEqual(
            body,
            {
                "status": "success",
                "admin": False,
                "data": {
                    "username": "michael",
                    "email": "michael@example.com",
                    "active": True,
                    "email_verified": False,
                    "admin": False,
                },
            },
        )

    def test_status_without_a_token(self) -> None:
        reply = self.caller.status()
        self.assert_error(reply, 401, MISSING_TOKEN, "token_missing")
        self.assertEqual(reply.headers["WWW-Authenticate"], 'Bearer realm="users"')

    def test_status_with_an_invalid_token(self) -> None:
        reply = self.caller.status("invalid")
        self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")
        self.assertEqual(
            reply.headers["WWW-Authenticate"], 'Bearer realm="users", error="invalid_token"'
        )

    def test_status_with_an_expired_token(self) -> None:
        token = self.add_token(self.add_user(), age=timedelta(hours=1))
        self.assert_error(self.caller.status(token), 401, EXPIRED_TOKEN, "token_expired")

    def test_ping(self) -> None:
        self.assert_success(self.caller.get("/ping"), 200, "pong!")
