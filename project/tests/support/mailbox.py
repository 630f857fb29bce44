"""A mailbox for tests through HTTP: mail is delivered into the mail folder, and read there."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, event

from project.delivery import mail
from project.tests.base import BaseTestCase
from project.tests.utils import Reply


class MailboxCase(BaseTestCase):
    """A test whose service sends mail."""

    def setUp(self) -> None:
        super().setUp()
        for file in (Path(self.app.config["INSTANCE_PATH"]) / "mail").glob("*.eml"):
            file.unlink()

    def deliver(self) -> None:
        """Deliver what is due."""
        mail.deliverer(self.app).deliver_due()

    def mails(self, to: str = "michael@example.com") -> list[Any]:
        """Deliver what is due; return the mails of an address, newest first."""
        self.deliver()
        data: list[Any] = self.caller.get(f"/auth/dev/mail?to={quote(to)}").body["data"]["messages"]
        return data

    def mail(self, kind: str, to: str = "michael@example.com") -> Any:
        """Return the newest mail of this kind."""
        return next(mail for mail in self.mails(to) if mail["kind"] == kind)

    def token_of(self, link: str) -> str:
        """Return the token of a link."""
        return link.partition("?token=")[2]

    def disown_token(self, mail: Any) -> str:
        """Return the token of the link "This was not me"."""
        link = next(line for line in mail["text"].splitlines() if "/not-me?token=" in line)
        return self.token_of(link)

    def statements_of(self, call: Callable[[], Reply], status: int) -> list[str]:
        """Return the statements that a call sends in this thread, without those of other apps."""
        sent: list[str] = []
        thread = threading.get_ident()

        def note(*cursor: Any) -> None:
            if threading.get_ident() == thread:
                sent.append(cursor[2])

        event.listen(Engine, "before_cursor_execute", note)
        try:
            self.assertEqual(call().status, status)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return sent
