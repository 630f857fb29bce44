"""One-time tokens: what confirms an operation, how often, and until when."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from unittest import mock
from uuid import UUID

import time_machine
from sqlalchemy import select

from project.accounts import one_time_tokens
from project.accounts.actors import Actor
from project.accounts.one_time_tokens import Token
from project.clock import utcnow
from project.errors import CodeInvalid
from project.extensions import db, transaction
from project.models import OneTimeToken
from project.security import identifiers, one_time_codes
from project.tests.base import BaseTestCase

PURPOSE = "password_reset"
LIFETIME = timedelta(minutes=30)
ACTOR = Actor("192.0.2.1", "tests")
KEY = identifiers.email_key("michael@example.com")


class TestOneTimeTokens(BaseTestCase):
    """Below HTTP, in an app's context."""

    def setUp(self) -> None:
        super().setUp()
        self.user_id = self.add_user()
        self.enterContext(self.app.app_context())

    def issue(self, purpose: str = PURPOSE, user_id: int | None = None) -> UUID:
        """Issue and commit a token; return its id."""
        with transaction():
            return one_time_tokens.issue(purpose, KEY, LIFETIME, user_id=user_id or self.user_id)

    def code(self, token_id: UUID, purpose: str = PURPOSE) -> str:
        """Return the code that a mail would contain."""
        return one_time_tokens.DerivedTokens().code_of(token_id, purpose)

    def link(self, token_id: UUID, purpose: str = PURPOSE) -> str:
        """Return the token in the link that a mail would contain."""
        link = one_time_tokens.DerivedTokens().link_of(token_id, purpose, "page")
        return link.partition("?token=")[2]

    def confirm(self, token_id: UUID, code: str) -> Token:
        """Confirm with a code and the token's own request id."""
        asked = one_time_tokens.request_id(token_id, PURPOSE)
        return one_time_tokens.by_request(asked, code, PURPOSE, ACTOR)

    def attempts(self, token_id: UUID) -> int:
        """Return how many attempts a token has counted."""
        attempts = db.session.scalar(
            select(OneTimeToken.attempts).where(OneTimeToken.id == token_id)
        )
        db.session.rollback()
        return attempts or 0

    def test_a_correct_code_is_refunded_and_consumed_once(self) -> None:
        token_id = self.issue()
        for _ in range(one_time_tokens.MAX_ATTEMPTS + 1):
            token = self.confirm(token_id, self.code(token_id))
        self.assertEqual(self.attempts(token_id), 0)
        with transaction():
            one_time_tokens.consume(token)
        with self.assertRaises(CodeInvalid), transaction():
            one_time_tokens.consume(token)
        with self.assertRaises(CodeInvalid):
            self.confirm(token_id, self.code(token_id))

    def test_five_wrong_codes_invalidate_the_code_but_not_the_link(self) -> None:
        token_id = self.issue()
        for _ in range(one_time_tokens.MAX_ATTEMPTS):
            with self.assertRaises(CodeInvalid):
                self.confirm(token_id, "BBBB-BBBB")
        with self.assertRaises(CodeInvalid):
            self.confirm(token_id, self.code(token_id))
        self.assertEqual(one_time_tokens.by_link(self.link(token_id), PURPOSE).id, token_id)

    def test_only_five_of_parallel_wrong_codes_are_compared(self) -> None:
        token_id = self.issue()

        def guess(number: int) -> None:
            with self.app.app_context(), suppress(CodeInvalid):
                self.confirm(token_id, "BBBB-BBBB")

        is_code = one_time_codes.is_code
        with (
            mock.patch.object(one_time_codes, "is_code", side_effect=is_code) as compared,
            ThreadPoolExecutor(8) as threads,
        ):
            list(threads.map(guess, range(24)))
        self.assertLessEqual(compared.call_count, one_time_tokens.MAX_ATTEMPTS)

    def test_unknown_networks_have_twenty_attempts_a_day_over_all_requests(self) -> None:
        for _ in range(5):
            token_id = self.issue()
            for _ in range(4):
                with self.assertRaises(CodeInvalid):
                    self.confirm(token_id, "BBBB-BBBB")
        token_id = self.issue()
        with self.assertRaises(CodeInvalid):
            self.confirm(token_id, self.code(token_id))
        code = self.code(token_id)
        found = one_time_tokens.by_user(self.user_id, code, PURPOSE, ACTOR)
        self.assertEqual(found.id, token_id)

    def test_the_owners_session_has_fifty_attempts_a_day(self) -> None:
        for _ in range(10):
            self.issue()
            for _ in range(one_time_tokens.MAX_ATTEMPTS):
                with self.assertRaises(CodeInvalid):
                    one_time_tokens.by_user(self.user_id, "BBBB-BBBB", PURPOSE, ACTOR)
        code = self.code(self.issue())
        with self.assertRaises(CodeInvalid):
            one_time_tokens.by_user(self.user_id, code, PURPOSE, ACTOR)

    def test_a_code_is_bound_to_its_request_its_purpose_and_its_lifetime(self) -> None:
        first, second = self.issue(), self.issue()
        with self.assertRaises(CodeInvalid):
            self.confirm(second, self.code(first))
        with self.assertRaises(CodeInvalid):
            one_time_tokens.by_link(self.link(first), "email_verification")
        with self.assertRaises(CodeInvalid):
            one_time_tokens.by_user(self.user_id, self.code(first), "email_verification", ACTOR)
        with time_machine.travel(utcnow() + LIFETIME, tick=False), self.assertRaises(CodeInvalid):
            one_time_tokens.by_link(self.link(first), PURPOSE)

    def test_a_token_without_an_account_confirms_nothing(self) -> None:
        with transaction():
            token_id = one_time_tokens.issue(PURPOSE, KEY, LIFETIME)
        with self.assertRaises(CodeInvalid):
            self.confirm(token_id, self.code(token_id))
        with self.assertRaises(CodeInvalid):
            one_time_tokens.by_link(self.link(token_id), PURPOSE)

    def test_invalidation_keeps_only_disown_tokens(self) -> None:
        token_id = self.issue()
        with transaction():
            one_time_tokens.issue(PURPOSE, KEY, LIFETIME)
            disown = one_time_tokens.issue_disown("password_changed", KEY, self.user_id)
        with transaction():
            one_time_tokens.invalidate(self.user_id, KEY)
        unused = select(OneTimeToken.id).where(OneTimeToken.used_at.is_(None))
        self.assertEqual(db.session.scalars(unused).all(), [disown])
        with self.assertRaises(CodeInvalid):
            one_time_tokens.by_link(self.link(token_id), PURPOSE)
        link = self.link(disown, "disown_password_changed")
        self.assertEqual(one_time_tokens.by_disown_link(link).id, disown)
        with self.assertRaises(CodeInvalid):
            one_time_tokens.by_disown_link(self.link(token_id))
