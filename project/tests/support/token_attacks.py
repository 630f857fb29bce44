"""A base class for tests that attack the service with invalid tokens."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from project.accounts.signing_keys import source
from project.clock import utcnow
from project.security.signing_keys import Algorithm
from project.security.tokens import Claims, Purpose
from project.tests.support.attacks import Attack
from project.tests.support.contract import INVALID_TOKEN
from project.tests.support.forge import Good, decoded
from project.tests.support.signing_keys import LEAD, SERVICE_TOKEN, SigningKeysCase
from project.tests.utils import InProcess, Reply


def read(token: str, good: Good) -> Claims:
    """Decode a token with the key and purpose of a valid one."""
    return decoded(token, [good.key], Purpose(str(good.payload["aud"])), utcnow())


@contextmanager
def named(*names: object) -> Iterator[None]:
    """Name the case in its failure. Thousands of subtests would take longer than what they test."""
    try:
        yield
    except AssertionError as error:
        error.add_note(f"in the case {names}")
        raise


class TokenAttackCase(SigningKeysCase):
    """One process that accepts tokens of all three algorithms, and valid tokens of each."""

    def setUp(self) -> None:
        super().setUp()
        apps = {algorithm: self.new_app(TOKEN_ALGORITHM=algorithm.value) for algorithm in Algorithm}
        self.token(
            InProcess(apps[Algorithm.HS256].test_client())
        )  # so that SECRET_KEY has signed tokens
        self.clock.shift(1)
        for app in apps.values():
            with app.app_context():
                source.current().signing_key()
        self.clock.shift(LEAD)
        self.good: list[Good] = []
        for app in apps.values():
            body = InProcess(app.test_client()).login().body
            for name, purpose in (
                ("auth_token", Purpose.ACCESS),
                ("refresh_token", Purpose.REFRESH),
            ):
                with app.app_context():
                    key = source.current().signing_key(purpose)
                self.good.append(Good.of(body[name], key))

    def replies(self, token: str, purpose: str) -> Iterable[Reply]:
        """Send a token to the routes that accept its purpose and report an error."""
        if purpose == Purpose.REFRESH:
            yield self.caller.post("/auth/refresh", {"refresh_token": token})
        # A header field cannot contain other characters, and loses spaces at its ends.
        elif token.isascii() and token.isprintable() and token == token.strip(" "):
            yield self.caller.status(token)

    def introspect(self, token: str) -> dict[str, object]:
        """Return the introspection of a token."""
        reply = self.caller.post("/auth/introspect", {"token": token}, SERVICE_TOKEN)
        self.assertEqual(reply.status, 200)
        introspection: dict[str, object] = reply.body
        return introspection

    def assert_token_accepted(self, token: str, good: Good) -> None:
        """Assert that a token is accepted as the valid one is."""
        claims = read(token, good)
        self.assertEqual(claims.session_id.hex, good.payload["sid"])
        for reply in self.replies(token, str(good.payload["aud"])):
            self.assertEqual(reply.status, 200)
        if claims.purpose is Purpose.ACCESS:
            self.assertIs(self.introspect(token)["active"], True)

    def assert_token_rejected(self, token: str, good: Good) -> None:
        """Assert that every route rejects a token with the same error."""
        purpose = str(good.payload["aud"])
        for reply in self.replies(token, purpose):
            self.assert_error(reply, 401, INVALID_TOKEN, "token_invalid")
        if purpose == Purpose.ACCESS:
            self.assertEqual(self.introspect(token), {"active": False})

    def assert_all_rejected(self, attack: Attack) -> None:
        """Assert that every token of an attack is rejected."""
        for good in self.good:
            for name, token in attack(good):
                with named(good.header["alg"], good.payload["aud"], name):
                    self.assert_token_rejected(token, good)
        self.assert_sessions_unchanged()

    def assert_sessions_unchanged(self) -> None:
        """Assert that every session is still active and its tokens are accepted."""
        for good in self.good:
            self.assert_token_accepted(good.text, good)
