"""Guessable and random values of SECRET_KEY."""

import base64
import random
import string
import uuid
from unittest import TestCase

import pytest

from project.security.secret_strength import find_weakness

WEAK = (
    ("", "is not set"),
    (None, "is not set"),
    ("f3b1c4d5e6a79807162534435261708", "shorter"),
    ('"f3b1c4d5e6a798071625344352617081"', "quotation marks"),
    ("'f3b1c4d5e6a798071625344352617081'", "quotation marks"),
    ("f3b1c4d5e6a798071625344352617081'", "quotation marks"),
    ("0123456789abcdef" * 2, "repeats itself"),
    ("0123456789abcdef" * 4, "repeats itself"),
    ("f3b1c4d5e6a79807" * 2, "repeats itself"),
    ("abc123abc123abc124abc125abc126abc127", "repeats itself"),
    ("a" * 64, "repeats itself"),
    ("abcdefghijklmnopqrstuvwxyz0123456789", "sequence"),
    ("qwertyuiopasdfghjklzxcvbnm1234567890", "sequence"),
    ("98765432109876543210zyxwvutsrqponmlkj", "sequence"),
    ("correct horse battery staple correct", "words"),
    ("correct-horse-battery-staple-again-and", "words"),
    ("correcthorsebatterystapletogetherwith", "words"),
    ("purple_monkey_dishwasher_zebra_quilt", "words"),
    ("TheQuickBrownFoxJumpsOverTheLazyDog", "words"),
    ("to be or not to be, that is the question", "words"),
    ("my_precious_key_of_this_service_0001", "placeholder"),
    ("changemechangemechangemechangeme", "placeholder"),
)
ROUNDS = 500


@pytest.mark.any_database
class TestSecretStrength(TestCase):
    """Typical guessable secrets are found; random ones pass."""

    def test_guessable_secrets_have_a_weakness(self) -> None:
        for secret, why in WEAK:
            with self.subTest(secret):
                self.assertRegex(find_weakness(secret) or "strong", why)

    def test_random_secrets_pass_in_every_alphabet(self) -> None:
        source = random.Random(20260101)
        for _ in range(ROUNDS):
            key = source.randbytes(32)
            written = (
                key.hex(),
                key[:16].hex(),
                base64.b64encode(key).decode(),
                base64.urlsafe_b64encode(key).rstrip(b"=").decode(),
                base64.b32encode(key).decode(),
                "".join(source.choices(string.ascii_lowercase, k=40)),
                "".join(source.choices(string.ascii_letters + string.digits, k=32)),
                "".join(source.choices(string.ascii_letters + string.digits + "!#%&*+-/=?", k=50)),
                str(uuid.UUID(bytes=key[:16], version=4)),
            )
            for secret in written:
                if secret[-1] not in "'\"`":
                    self.assertIsNone(find_weakness(secret), secret)
