"""Codes, links and request ids of one-time tokens."""

from unittest import TestCase
from uuid import UUID

import pytest

from project.security import one_time_codes

SECRET = "one secret of the service"
TOKEN = UUID("5c0f6b1e-2d3a-4b5c-8d9e-0f1a2b3c4d5e")


@pytest.mark.any_database
class TestOneTimeCodes(TestCase):
    """Derivation and verification."""

    def test_a_code_has_eight_letters_and_is_always_the_same(self) -> None:
        code = one_time_codes.code(SECRET, "password_reset", TOKEN)
        self.assertRegex(code, "^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$")
        self.assertEqual(one_time_codes.code(SECRET, "password_reset", TOKEN), code)

    def test_case_blanks_and_dashes_are_ignored(self) -> None:
        code = one_time_codes.code(SECRET, "password_reset", TOKEN)
        for typed in (code, code.lower(), code.replace("-", ""), f" {code.replace('-', ' ')} "):
            self.assertTrue(one_time_codes.is_code(typed, [SECRET], "password_reset", TOKEN), typed)

    def test_another_purpose_secret_or_form_is_rejected(self) -> None:
        code = one_time_codes.code(SECRET, "password_reset", TOKEN)
        link = one_time_codes.link_token(SECRET, "password_reset", TOKEN)
        request_id = one_time_codes.request_id(SECRET, "password_reset", TOKEN)
        is_code, is_link = one_time_codes.is_code, one_time_codes.is_link_token
        self.assertFalse(is_code(code, [SECRET], "email_login", TOKEN))
        self.assertFalse(is_code(code, ["another"], "password_reset", TOKEN))
        self.assertFalse(is_link(link, [SECRET], "email_login", TOKEN))
        self.assertFalse(is_link(request_id, [SECRET], "password_reset", TOKEN))
        self.assertFalse(one_time_codes.is_request_id(link, [SECRET], "password_reset", TOKEN))

    def test_a_previous_secret_is_accepted(self) -> None:
        link = one_time_codes.link_token(SECRET, "password_reset", TOKEN)
        code = one_time_codes.code(SECRET, "password_reset", TOKEN)
        secrets = ["the next secret", SECRET]
        self.assertTrue(one_time_codes.is_link_token(link, secrets, "password_reset", TOKEN))
        self.assertTrue(one_time_codes.is_code(code, secrets, "password_reset", TOKEN))

    def test_a_change_of_any_character_invalidates_a_link(self) -> None:
        link = one_time_codes.link_token(SECRET, "password_reset", TOKEN)
        self.assertEqual((len(link), one_time_codes.id_of(link)), (43, TOKEN))
        for place, letter in enumerate(link):
            for other in ("A" if letter != "A" else "B", "="):
                edited = link[:place] + other + link[place + 1 :]
                found = one_time_codes.id_of(edited) or TOKEN
                accepted = one_time_codes.is_link_token(edited, [SECRET], "password_reset", found)
                self.assertFalse(accepted, edited)
