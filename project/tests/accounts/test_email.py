"""Verifying an address, notices, and what is served with and without mail; through HTTP."""

from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar
from unittest import mock

from flask import Flask

from project.accounts import one_time_tokens
from project.accounts.throttle import policies
from project.api import dev_mail, features
from project.clock import utcnow
from project.errors import CodeInvalid
from project.extensions import db, transaction
from project.models import OneTimeToken, Outbox, User
from project.security.rate_limit import Limit
from project.settings.mail_parsers import FOLDER, NO_MAIL
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.support.mailbox import MailboxCase
from project.tests.support.scraping import DIGEST, scrape
from project.tests.utils import PASSWORD, InProcess, Reply

EMAIL = "michael@example.com"
CONFIRM = "/auth/email/verification/confirm"
CODE_INVALID = (400, "That code is wrong or has expired.", "code_invalid")
ROUTES = (
    "/auth/password/reset",
    "/auth/password/reset/confirm",
    "/auth/email/verification",
    CONFIRM,
    "/auth/email/change",
    "/auth/email/change/confirm",
    "/auth/disown",
)


class TestVerification(MailboxCase):
    """POST /auth/email/verification and /confirm."""

    def setUp(self) -> None:
        super().setUp()
        self.token = self.caller.register("michael", EMAIL, PASSWORD).body["auth_token"]

    def confirm(self, session: str | None = None, **proof: str) -> Reply:
        """Confirm with a code or a link's token."""
        return self.caller.post(CONFIRM, proof, session)

    def is_verified(self) -> bool:
        """Return what /auth/status says."""
        verified: bool = self.caller.status(self.token).body["data"]["email_verified"]
        return verified

    def test_the_code_verifies_the_address_and_sessions_continue(self) -> None:
        code = self.mail("email_verification")["code"]
        self.assertFalse(self.is_verified())
        body = self.assert_success(self.confirm(self.token, code=code.lower()), 200)
        self.assertTrue(body["data"]["email_verified"])
        self.assertTrue(self.is_verified())
        again = self.caller.post("/auth/email/verification", token=self.token)
        self.assertIsNone(self.assert_success(again, 200, "Your address is verified.")["data"])

    def test_both_responses_to_a_request_are_documented(self) -> None:
        path = self.caller.get("/openapi.json").body["paths"]["/auth/email/verification"]
        responses = path["post"]["responses"]
        for status, name in (("200", "AlreadyVerified"), ("202", "VerificationRequested")):
            schema = responses[status]["content"]["application/json"]["schema"]
            self.assertEqual(schema, {"$ref": f"#/components/schemas/{name}Response"})

    def test_the_link_requires_the_password(self) -> None:
        token = self.token_of(self.mail("email_verification")["link"])
        reply = self.confirm(token=token, password="wrong")
        self.assert_error(reply, 403, "The current password is wrong.", "password_wrong")
        self.assert_field_errors(self.confirm(token=token), ("", "proof_missing"))
        self.assertFalse(self.is_verified())
        self.assertEqual(self.confirm(token=token, password=PASSWORD).status, 200)
        self.assertTrue(self.is_verified())

    def test_a_code_requires_a_session_of_its_account(self) -> None:
        code = self.mail("email_verification")["code"]
        reply = self.confirm(code=code)
        self.assert_error(reply, 401, "Provide a valid auth token.", "token_missing")
        other = self.caller.register("other", "other@example.com", PASSWORD).body["auth_token"]
        self.assert_error(self.confirm(other, code=code), *CODE_INVALID)
        self.assertFalse(self.is_verified())

    def test_the_mail_can_be_requested_again_once_a_minute(self) -> None:
        reply = self.caller.post("/auth/email/verification", token=self.token)
        body = self.assert_success(reply, 202, "A mail is on its way.")
        self.assertEqual(body["data"]["expires_in"], 86400)
        mails = [mail for mail in self.mails() if mail["kind"] == "email_verification"]
        self.assertEqual(len(mails), 2)
        again = self.caller.post("/auth/email/verification", token=self.token)
        self.assertEqual(again.status, 429)
        self.assert_error(self.confirm(self.token, code=mails[1]["code"]), *CODE_INVALID)
        self.assertEqual(self.confirm(self.token, code=mails[0]["code"]).status, 200)

    def test_disowning_a_registration_frees_the_address(self) -> None:
        disown = {"token": self.disown_token(self.mail("email_verification"))}
        self.assertEqual(self.caller.post("/auth/disown", disown).status, 200)
        self.assertEqual(self.caller.status(self.token).status, 401)
        self.assertEqual(self.caller.register("owner", EMAIL, PASSWORD).status, 201)

    def test_the_disown_link_does_not_delete_a_verified_account(self) -> None:
        mail = self.mail("email_verification")
        self.confirm(self.token, code=mail["code"])
        reply = self.caller.post("/auth/disown", {"token": self.disown_token(mail)})
        self.assert_error(reply, *CODE_INVALID)
        self.assertTrue(self.is_verified())

    def test_a_mail_does_not_contain_the_username(self) -> None:
        self.caller.register("EVIL http://evil.example", "victim@example.com", PASSWORD)
        self.assertNotIn("evil", str(self.mail("email_verification", "victim@example.com")).lower())

    def test_registrations_succeed_beyond_the_limit_of_their_mail(self) -> None:
        few = mock.patch.object(
            policies.Policy, "limit", property(lambda policy: Limit(2, policy.setting.window))
        )
        statuses = [
            self.caller.register(f"user{n}", f"user{n}@example.com", PASSWORD).status
            for n in range(4)
        ]
        self.assertEqual(statuses, [201] * 4)
        with few, mock.patch.dict(self.app.config, THROTTLE_ENABLED=True):
            self.deliver()
        self.assertEqual(len(self.caller.get("/auth/dev/mail").body["data"]["messages"]), 2)

    def test_other_services_receive_email_verified(self) -> None:
        forward = self.caller.get("/auth/forward", self.token)
        self.assertEqual(forward.headers["X-Auth-Email-Verified"], "false")
        with mock.patch.dict(self.app.config, EMAIL_VERIFICATION="required"):
            reply = self.caller.get("/auth/forward", self.token)
            message = "Verify your e-mail address first."
            self.assert_error(reply, 403, message, "email_unverified")
            self.assertEqual(self.caller.status(self.token).status, 200)
            self.confirm(self.token, code=self.mail("email_verification")["code"])
            forward = self.caller.get("/auth/forward", self.token)
        self.assertEqual((forward.status, forward.headers["X-Auth-Email-Verified"]), (200, "true"))

    def test_verification_can_be_disabled(self) -> None:
        with mock.patch.dict(self.app.config, EMAIL_VERIFICATION="off"):
            self.caller.register("other", "other@example.com", PASSWORD)
        self.assertEqual(self.mails("other@example.com"), [])

    def test_a_rejected_registration_sends_no_mail(self) -> None:
        self.assertEqual(self.caller.register("other", EMAIL, PASSWORD).status, 400)
        with self.app.app_context():
            self.assertEqual(db.session.query(Outbox).count(), 1)

    def test_verification_adds_two_statements_to_a_registration(self) -> None:
        statements = []
        for number, mode in enumerate(("off", "optional")):
            with mock.patch.dict(self.app.config, EMAIL_VERIFICATION=mode):
                username = f"user{number}"
                register = partial(self.caller.register, username, f"{username}@example.com")
                statements.append(len(self.statements_of(register, 201)))
        self.assertEqual(statements[1] - statements[0], 2)


class TestNotices(MailboxCase):
    """A login from a network that is new to the account."""

    def test_a_login_from_a_new_network_to_a_verified_account_sends_a_notice(self) -> None:
        user_id = self.add_user(email_verified_at=utcnow())
        self.caller.login()
        self.caller.login()
        mails = self.mails()
        self.assertEqual([mail["kind"] for mail in mails], ["new_sign_in"])
        self.assertIn("127.0.0.1", mails[0]["text"])
        disown = {"token": self.disown_token(mails[0])}
        self.assertEqual(self.caller.post("/auth/disown", disown).status, 200)
        self.assertEqual(self.caller.login().status, 404)
        self.assertEqual(self.mail("password_reset")["to"], EMAIL)
        with self.app.app_context():
            self.assertEqual(db.session.get_one(User, user_id).password, "!")

    def test_an_unverified_address_gets_no_notice(self) -> None:
        self.add_user()
        self.caller.login()
        self.assertEqual(self.mails(), [])

    def test_mail_has_the_language_of_the_request(self) -> None:
        self.add_user()
        payload = {"email": EMAIL}
        fields = {"Accept-Language": "de-AT, en;q=0.5"}
        self.caller.call("POST", "/auth/password/reset", payload, **fields)
        self.assertIn("Passwort", self.mail("password_reset")["subject"])


class TestTokenMetrics(MailboxCase):
    """The metric of one-time tokens."""

    overrides: ClassVar[dict[str, object]] = {"METRICS_TOKEN": DIGEST}

    def counted(self, purpose: str) -> dict[str, float]:
        """Return how many tokens of this purpose were issued, used and rejected."""
        output = scrape(self.caller)
        return {
            outcome: output.value("users_one_time_tokens_total", purpose=purpose, outcome=outcome)
            for outcome in one_time_tokens.OUTCOMES
        }

    def test_tokens_are_counted_by_purpose_and_outcome(self) -> None:
        purposes = ("email_verification", "disown_email_verification")
        before = [self.counted(purpose) for purpose in purposes]
        token = self.caller.register("michael", EMAIL, PASSWORD).body["auth_token"]
        code = self.mail("email_verification")["code"]
        for typed, status in (("BBBB-BBBB", 400), (code, 200), (code, 400)):
            self.assertEqual(self.caller.post(CONFIRM, {"code": typed}, token).status, status)
        link = {"token": "A" * 43, "password": PASSWORD}
        self.assertEqual(self.caller.post(CONFIRM, link).status, 400)
        grown = [
            [self.counted(purpose)[outcome] - count for outcome, count in counts.items()]
            for purpose, counts in zip(purposes, before, strict=True)
        ]
        self.assertEqual(grown, [[1, 1, 3], [1, 0, 0]])

    def test_a_token_that_is_rolled_back_is_not_counted(self) -> None:
        before = self.counted("password_reset")
        with self.app.app_context():
            with suppress(CodeInvalid), transaction():
                one_time_tokens.issue("password_reset", EMAIL, timedelta(minutes=1))
                raise CodeInvalid
            with transaction():
                pass
        self.assertEqual(self.counted("password_reset"), before)


class TestFeatures(MailboxCase):
    """GET /auth/features and /auth/dev/mail."""

    def test_features_of_an_installation_with_mail(self) -> None:
        expected = {
            "registration": "open",
            "mail": True,
            "email_login": False,
            "languages": ["de", "en"],
            "password_min_length": 1,
        }
        reply = self.caller.get("/auth/features")
        self.assertEqual(self.assert_success(reply, 200)["data"], expected)

    def test_browsers_get_the_mail_folder_as_a_page(self) -> None:
        self.add_user()
        self.caller.post("/auth/password/reset", {"email": EMAIL})
        self.deliver()
        page = self.caller.get("/auth/dev/mail", Accept="text/html")
        self.assertEqual(page.headers["Content-Type"], "text/html; charset=utf-8")
        self.assertIn(b"/reset-password?token=", page.raw)
        document = self.caller.get("/openapi.json").body["paths"]["/auth/dev/mail"]["get"]
        schema = {"$ref": "#/components/schemas/DevMailResponse"}
        content = {"application/json": {"schema": schema}, "text/html": {"schema": {}}}
        self.assertEqual(document["responses"]["200"]["content"], content)
        for asset in ("mail.css", "mail.js"):
            self.assertEqual(self.caller.get(f"/auth/dev/mail/{asset}").status, 200)
        self.assertEqual(self.caller.get("/auth/dev/mail/mail.html").status, 404)

    def test_the_page_has_only_the_forms_of_registered_routes(self) -> None:
        app = Flask("project")
        app.register_blueprint(dev_mail.dev_mail_blueprint)
        app.config["INSTANCE_PATH"] = "/nowhere"
        for form in dev_mail.FORMS[:3]:
            app.add_url_rule(form.path, form.page, methods=["POST"])
        page = app.test_client().get("/auth/dev/mail", headers={"Accept": "text/html"}).text
        self.assertEqual(
            [f'id="{form.page}"' in page for form in dev_mail.FORMS], [True] * 3 + [False] * 3
        )


class TestWithoutMail(BaseTestCase):
    """MAIL_URL is `none:`."""

    def bare(self, **overrides: Any) -> Flask:
        """Return an app of its own on this test's database."""
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        app = databases.bare_app(url, **overrides)
        self.addCleanup(self.close, app)
        return app

    def close(self, app: Flask) -> None:
        """Close an app's connections."""
        with app.app_context():
            db.engine.dispose()

    def test_routes_of_mail_are_not_found(self) -> None:
        caller = InProcess(self.bare(MAIL_URL=NO_MAIL).test_client())
        for path in ROUTES:
            self.assert_error(caller.post(path, {}), 404, "Not found.", "not_found")
        self.assertEqual(caller.get("/auth/dev/mail").status, 404)
        self.assertFalse(caller.get("/auth/features").body["data"]["mail"])
        self.assertEqual(caller.register("michael", EMAIL, PASSWORD).status, 201)
        with self.app.app_context():
            self.assertEqual(db.session.query(OneTimeToken).count(), 0)
            self.assertEqual(db.session.query(Outbox).count(), 0)

    def test_the_mail_folder_is_never_served_in_production(self) -> None:
        for is_strict in (False, True):
            app = Flask("project")
            app.config.update(
                MAIL_URL=FOLDER, STRICT=is_strict, EMAIL_LOGIN=False, REGISTRATION="open"
            )
            features.init_app(app)
            paths = {rule.rule for rule in app.url_map.iter_rules()}
            self.assertEqual("/auth/dev/mail" in paths, not is_strict)
            self.assertIn("/auth/password/reset", paths)
