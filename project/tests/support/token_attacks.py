"""The door of the service, and good tokens to spoil before it."""

from collections.abc import Iterable

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
    """Return the claims of a token that is read as the good one is."""
    return decoded(token, [good.key], Purpose(str(good.payload["aud"])), utcnow())


class DoorCase(SigningKeysCase):
    """One process that takes tokens of all three algorithms, and a good one of each to spoil."""

    def setUp(self) -> None:
        super().setUp()
        apps = {algorithm: self.new_app(TOKEN_ALGORITHM=algorithm.value) for algorithm in Algorithm}
        self.token(InProcess(apps[Algorithm.HS256].test_client()))  # the secret signed before
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
        """Show a token wherever one of its purpose is taken and why it is refused is told."""
        if purpose == Purpose.REFRESH:
            yield self.caller.post("/auth/refresh", {"refresh_token": token})
        # Blanks around it are the field's, and no field holds what is not printed.
        elif token.isascii() and token.isprintable() and token == token.strip(" "):
            yield self.caller.status(token)

    def introspect(self, token: str) -> dict[str, object]:
        """Return what another service is told of a token."""
        reply = self.caller.post("/auth/introspect", {"token": token}, SERVICE_TOKEN)
        self.assertEqual(reply.status, 200)
        told: dict[str, object] = reply.body
        return told

    def assert_taken(self, token: str, good: Good) -> None:
        """Hold a token to be read as the good one is."""
        claims = read(token, good)
        self.assertEqual(claims.session_id.hex, good.payload["sid"])
        for reply in self.replies(token, str(good.payload["aud"])):
            self.assertEqual(reply.status, 200)
        if claims.purpose is Purpose.ACCESS:
            self.assertIs(self.introspect(token)["active"], True)

    def assert_shut(self, token: str, good: Good) -> None:
        """Hold a token to the one refusal, wherever the good one would be taken."""
        purpose = str(good.payload["aud"])
        for reply in self.replies(token, purpose):
            self.assert_refused(reply, 401, INVALID_TOKEN, "token_invalid")
        if purpose == Purpose.ACCESS:
            self.assertEqual(self.introspect(token), {"active": False})

    def assert_all_shut(self, attack: Attack) -> None:
        """Hold the door shut to everything that an attack makes of the good tokens."""
        for good in self.good:
            for name, token in attack(good):
                with self.subTest(good.header["alg"], aud=good.payload["aud"], attack=name):
                    self.assert_shut(token, good)
        self.assert_nothing_happened()

    def assert_nothing_happened(self) -> None:
        """Hold every session to be open still, and its tokens to be good."""
        for good in self.good:
            self.assert_taken(good.text, good)
