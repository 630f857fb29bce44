"""The mails: header fields, parts, languages, and templates of the operator's."""

import itertools
import re
import tempfile
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from unittest import TestCase
from uuid import UUID

import pytest
from jinja2 import Environment, meta

from project.accounts.messages import DISOWN_PAGE, KINDS, PREFIX
from project.delivery import claims, rendering, trial
from project.settings.mail_parsers import FOLDER, mailbox
from project.tests.delivery.case import FRONTEND, DeliveryCase, payload

TEMPLATES = rendering.OURS
LANGUAGES = ("en", "de")
AT = datetime(2026, 11, 22, 21, 34, 59, tzinfo=UTC)
TOKEN, DISOWN = UUID(int=1 << 120), UUID(int=2 << 120)
CODE = f"CODE-{TOKEN.hex[:4].upper()}"


def part(message: EmailMessage, kind: str) -> str:
    """Return the text of the part of a message that is `plain` or `html`."""
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


@pytest.mark.slow
class TestMails(DeliveryCase):
    """Every kind in every language, as it comes out of the mail server."""

    def sent(self, kind: str, language: str = "en", **facts: object) -> EmailMessage:
        """Deliver a mail; return it."""
        known = payload(**({"at": AT, "token": TOKEN, "disown": DISOWN, "final_at": AT} | facts))
        self.message = self.queue(kind=kind, language=language, payload=known)
        self.deliver(1)
        self.assert_done(self.message, "sent")
        return self.server.received[-1].parsed

    def test_the_header_fields(self) -> None:
        for kind in KINDS:
            mail = self.sent(kind)
            self.assertEqual(mail.get_all("To"), ["ada@members.net"])
            self.assertEqual(mail["From"], "Members <no-reply@members.net>")
            self.assertEqual(mail["Auto-Submitted"], "auto-generated")
            self.assertEqual(mail["Message-ID"], f"<{self.message}@members.net>")
            self.assertRegex(mail["Date"], r" \+0000$")
            self.assertTrue(mail["Subject"].isprintable())
            self.assertFalse({"Cc", "Bcc", "Reply-To"} & set(mail.keys()))
            self.assertEqual(self.server.received[-1].sender, "no-reply@members.net")
            self.assertEqual(mail.defects, [])
            content = self.server.received[-1].content
            self.assertTrue(content.isascii())
            self.assertLess(max(map(len, content.splitlines())), 998)

    def test_both_parts_contain_code_and_link(self) -> None:
        for kind in KINDS.values():
            for language in LANGUAGES:
                mail = self.sent(kind.name, language)
                for text in (part(mail, "plain"), part(mail, "html")):
                    with self.subTest(kind.name, language=language):
                        link = f"{FRONTEND}/{kind.page}?token={TOKEN.hex}{kind.name}"
                        disown = f"{FRONTEND}/{DISOWN_PAGE}?token={DISOWN.hex}disown_{kind.name}"
                        self.assertEqual(CODE in text, kind.has_code)
                        self.assertEqual(link in text, bool(kind.page))
                        self.assertEqual(disown in text, kind.has_disown_link)

    def test_every_link_is_a_button_in_the_language_of_the_mail(self) -> None:
        labels: dict[str, set[str]] = {}
        for kind, language in itertools.product(KINDS.values(), LANGUAGES):
            html = part(self.sent(kind.name, language), "html")
            links = re.findall(r'<a href="([^"]+)" [^>]+>([^<]+)</a>', html)
            buttons = [(link, label) for link, label in links if link != label]
            self.assertEqual(len(buttons), bool(kind.page) + kind.has_disown_link, kind.name)
            self.assertEqual([link for link, _ in buttons], list(dict(links)))
            labels.setdefault(language, set()).update(label for _, label in buttons)
        self.assertEqual([len(labels[language]) for language in LANGUAGES], [6] * len(LANGUAGES))
        self.assertFalse(set.intersection(*labels.values()))

    def test_html_loads_no_external_content(self) -> None:
        for kind in KINDS:
            html = part(self.sent(kind), "html")
            self.assertNotRegex(html, r"(?i)<(img|script|link|iframe|object)\b|url\(|src=|@import")
            for link in re.findall(r'href="([^"]+)"', html):
                self.assertTrue(link.startswith(FRONTEND))
            self.assertIn('lang="en"', html)

    def test_html_is_escaped(self) -> None:
        self.app.config["SERVICE_NAME"] = "<b>&"
        mail = self.sent("password_reset")
        self.assertIn("&lt;b&gt;&amp;", part(mail, "html"))
        self.assertNotIn("<b>", part(mail, "html"))
        self.assertIn("<b>&", part(mail, "plain"))

    def test_time_is_written_in_utc(self) -> None:
        self.assertIn("2026-11-22 21:34 UTC", part(self.sent("new_sign_in"), "plain"))

    def test_an_unknown_language_falls_back(self) -> None:
        english, german = "Your code for users", "Ihr Code für users"
        for asked, default, subject in (
            ("de-AT", "en", german),
            ("de", "en", german),
            ("fr", "de-CH", german),
            ("fr", "fr", english),
            ("../x", "en", english),
            ("", "en", english),
        ):
            self.app.config["DEFAULT_LANGUAGE"] = default
            self.deliverer = self.new_deliverer()
            self.assertEqual(self.sent("email_login", asked)["Subject"], subject)

    def test_a_notice_without_a_disown_link_does_not_mention_it(self) -> None:
        mail = self.sent("password_changed", disown=None)
        self.assertNotIn("http", part(mail, "plain"))
        self.assertNotIn("not you", part(mail, "plain"))
        self.assertNotIn("final", part(self.sent("account_deleted", final_at=None), "plain"))

    def test_an_unknown_address_is_omitted(self) -> None:
        for kind in KINDS:
            text = part(self.sent(kind, address=""), "plain")
            self.assertNotRegex(text, r"from  |from at|from \.")

    def test_the_reply_address_can_be_set(self) -> None:
        self.app.config["MAIL_REPLY_TO"] = mailbox("help@members.net")
        self.assertEqual(self.sent("invitation")["Reply-To"], "help@members.net")


class TestOperatorsTemplates(DeliveryCase):
    """A folder of the operator's, which comes before ours."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.folder / "en").mkdir()
        self.app.config["MAIL_TEMPLATES"] = str(self.folder)
        self.deliverer = self.new_deliverer()

    def write(self, name: str, text: str) -> None:
        """Write a template."""
        (self.folder / name).write_text(text, "utf-8")

    def sent(self) -> EmailMessage:
        """Deliver a login code; return the mail."""
        self.queue(kind="email_login")
        self.deliver(1)
        return self.server.received[-1].parsed

    def test_an_own_template_replaces_the_built_in_one(self) -> None:
        self.write("en/email_login.txt", "Hello from {{ service }}\n\nUse {{ code }}.\n")
        mail = self.sent()
        self.assertEqual(mail["Subject"], "Hello from users")
        self.assertIn("<p style", part(mail, "html"))

    def test_an_own_html_template_can_extend_the_layout(self) -> None:
        extended = '{% extends "layout.html" %}{% block content %}<h1>{{ code }}</h1>{% endblock %}'
        self.write("en/email_login.html", extended)
        self.assertRegex(part(self.sent(), "html"), r"(?s)<html.*<h1>CODE-....</h1>")

    def test_own_templates_can_add_a_language(self) -> None:
        (self.folder / "fr").mkdir()
        self.write("fr/email_login.txt", "Bonjour\n\n{{ code }}\n\n{{ link }}")
        self.queue(kind="email_login", language="fr")
        self.deliver(1)
        mail = self.server.received[-1].parsed
        self.assertEqual(mail["Subject"], "Bonjour")
        ((link, text),) = re.findall(r'<a href="([^"]+)"[^>]+>([^<]+)</a>', part(mail, "html"))
        self.assertEqual(link, text)

    def test_a_broken_template_is_replaced_and_logged_once(self) -> None:
        for broken in (
            "Subject\n\n{{ nothing }}",
            "Subject\n\n{% if %}",
            "Subject only",
            "S\n\n{{ 1 / 0 }}",
            "S\n\n{{ ''.__class__.__mro__ }}",
            "S\n\n{{ service + 1 }}",
            "S\n\n{% include 'missing' %}",
            "S\n\n{% for i in range(10000000) %}x{% endfor %}",
        ):
            with self.subTest(broken):
                self.write("en/email_login.txt", broken)
                self.deliverer = self.new_deliverer()
                with self.assertLogs("project.delivery.rendering", "WARNING") as logged:
                    subjects = {self.sent()["Subject"] for _ in range(2)}
                self.assertEqual(subjects, {"Your code for users"})
                self.assertEqual(len(logged.records), 1)
                self.assertIn("en/email_login", trial.template_faults(self.app)[0])

    def test_a_corrected_template_applies_to_waiting_messages(self) -> None:
        self.write("en/email_login.txt", "{{ nothing }}")
        with self.assertLogs("project.delivery.rendering", "WARNING"):
            self.sent()
        self.write("en/email_login.txt", "Mended by hand\n\n{{ code }}")
        self.assertEqual(self.sent()["Subject"], "Mended by hand")


class TestFolder(DeliveryCase):
    """The transport of development."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.app.config.update(MAIL_URL=FOLDER, INSTANCE_PATH=str(self.folder))
        self.deliverer = self.new_deliverer()

    def test_each_mail_is_a_private_file(self) -> None:
        message = self.queue("ada@members.test", "password_reset")
        with self.assertLogs("project.delivery.folder", "INFO") as logged:
            self.deliver(1)
        self.assert_done(message, "sent")
        (file,) = (self.folder / "mail").iterdir()
        self.assertTrue(file.name.endswith(f"-{message.hex}.eml"))
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual(file.parent.stat().st_mode & 0o777, 0o700)
        content = file.read_text("ascii")
        self.assertIn("X-Kind: mail.password_reset", content)
        self.assertIn("CODE-", content)
        (line,) = logged.output
        self.assertIn(str(file), line)
        self.assertNotIn("CODE-", line)

    def test_a_mail_that_is_sent_twice_is_one_file(self) -> None:
        self.queue()
        claimed = claims.claim(PREFIX)
        assert claimed is not None
        for _ in range(2):
            with self.assertLogs("project.delivery.folder", "INFO"):
                self.deliverer.sender.send(claimed)
            self.assertEqual(len([*(self.folder / "mail").iterdir()]), 1)


@pytest.mark.any_database
class TestTemplates(TestCase):
    """The files themselves."""

    def test_every_kind_has_a_template_in_every_language(self) -> None:
        for language in LANGUAGES:
            found = {file.stem for file in (TEMPLATES / language).glob("*.txt")}
            self.assertEqual(found, set(KINDS))

    def test_every_language_uses_the_same_variables(self) -> None:
        parse = Environment(autoescape=True).parse
        for kind in KINDS:
            used = {
                frozenset(meta.find_undeclared_variables(parse(file.read_text("utf-8"))))
                for file in TEMPLATES.glob(f"*/{kind}.txt")
            }
            self.assertEqual(len(used), 1, kind)

    def test_every_kind_fits_into_its_column(self) -> None:
        for kind in KINDS.values():
            self.assertLessEqual(len(PREFIX + kind.name), 40)
            self.assertLessEqual(len(kind.disown_purpose), 32)
