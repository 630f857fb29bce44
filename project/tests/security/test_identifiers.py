"""Usernames and e-mail addresses: invisible characters, and equal keys."""

import unicodedata
from unittest import TestCase
from unittest.mock import patch

import pytest

from project.models import User
from project.security import identifiers, invisible
from project.tests.base import BaseTestCase

# A few of each kind: variation selectors, fillers, joiners, vowels without a glyph, blanks.
HIDDEN = "\ufe0f\U000e0100\u3164\u115f\u034f\u17b5\u180b\u2800\uffa0\u2065\ufff0\U0001d159\u2028"
ONE_DOMAIN = (
    "exämple.com",
    "EXÄMPLE.com",
    "xn--exmple-cua.com",
    "XN--EXMPLE-CUA.com",
    "exa\u0308mple。com",
)


@pytest.mark.any_database
class TestKeys(TestCase):
    """The keys of e-mail addresses, and the table of invisible characters."""

    def test_the_spellings_of_an_internationalized_domain_have_one_key(self) -> None:
        keys = {identifiers.email_key(f"Ada@{domain}") for domain in ONE_DOMAIN}
        self.assertEqual(keys, {"ada@xn--exmple-cua.com"})

    def test_a_domain_without_an_ascii_form_is_unchanged(self) -> None:
        for domain in ("i❤.ws", "bücher_x.de", "ü" * 300, "..ü", "xn--ü.com", "ü\u202e"):
            self.assertEqual(identifiers.email_key(f"A@{domain}"), f"a@{domain}", ascii(domain))

    def test_a_text_that_is_not_an_address_has_a_key(self) -> None:
        for text, key in (("", ""), ("Ü", "Ü"), ("@Ü", "@xn--tda"), ("a@", "a@"), ("ü@B", "ü@b")):
            self.assertEqual(identifiers.email_key(text), key)

    def test_the_mailbox_is_not_encoded(self) -> None:
        self.assertEqual(identifiers.email_key("ÜnI@Ünï.de"), "Üni@xn--n-nga1b.de")

    def test_an_ascii_address_costs_no_encoding(self) -> None:
        with patch("idna.encode", side_effect=AssertionError):
            self.assertEqual(identifiers.email_key("A@XN--Tda.De"), "a@xn--tda.de")

    def test_the_tables_of_invisible_characters_are_sorted(self) -> None:
        for ranges in (invisible.DEFAULT_IGNORABLE, invisible.EMPTY_GLYPHS, invisible.CONTROLS):
            codes = [code for first_and_last in ranges for code in first_and_last]
            self.assertEqual(codes, sorted(codes))

    def test_default_ignorable_characters_are_invisible(self) -> None:
        hidden = [
            chr(code) for first, last in invisible.DEFAULT_IGNORABLE for code in (first, last)
        ]
        for character in [*hidden, *HIDDEN]:
            self.assertTrue(invisible.contains_invisible(f"a{character}"), ascii(character))
        selectors = [chr(code) for code in range(0x110000) if is_selector(chr(code))]
        self.assertGreater(len(selectors), 250)
        self.assertTrue(all(map(invisible.contains_invisible, selectors)))


def is_selector(character: str) -> bool:
    """Return whether a character is a variation selector, by its Unicode name."""
    return "VARIATION SELECTOR" in unicodedata.name(character, "")


class TestNames(BaseTestCase):
    """Registrations with unusual names."""

    def test_an_invisible_character_in_a_username_is_rejected(self) -> None:
        for character in HIDDEN:
            for username in (character, f"admin{character}", f"a{character}b"):
                with self.subTest(ascii(username)):
                    reply = self.caller.register(username)
                    self.assert_field_errors(reply, ("username", "invisible_character"))

    def test_a_username_needs_a_visible_character(self) -> None:
        for username in ("\u0301", "\u0301\u20dd", "\u0301 \u0302"):
            reply = self.caller.register(username)
            self.assert_field_errors(reply, ("username", "invisible_character"))
        self.assertEqual(self.caller.register("e\u0301").status, 201)

    def test_an_invisible_character_in_an_address_is_rejected(self) -> None:
        for character in HIDDEN:
            for email in (f"a{character}@example.com", f"a@exam{character}ple.com"):
                with self.subTest(ascii(email)):
                    reply = self.caller.register(email=email)
                    self.assertEqual((reply.status, reply.body["code"]), (400, "invalid_payload"))
        self.assertEqual(self.count(User), 0)

    def test_an_existing_account_with_an_invisible_character_works(self) -> None:
        self.add_user("admin\ufe0f", "old\ufe0f@example.com")
        token = self.caller.login("old\ufe0f@example.com").body["auth_token"]
        self.assertEqual(self.caller.status(token).body["data"]["username"], "admin\ufe0f")

    def test_all_spellings_of_a_domain_belong_to_one_account(self) -> None:
        self.assertEqual(self.caller.register("first", "a@EXÄMPLE.com").status, 201)
        for domain in ONE_DOMAIN:
            with self.subTest(domain):
                reply = self.caller.register("another", f"A@{domain}")
                message = "Sorry. That user already exists."
                self.assert_error(reply, 400, message, "user_exists")
                login = self.caller.login(f"a@{domain}", "123456")
                data = self.caller.status(login.body["auth_token"]).body["data"]
                self.assertEqual(data["email"], "a@EXÄMPLE.com")
