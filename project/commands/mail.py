"""Commands that send a test mail and print previews."""

from typing import Annotated

from flask import current_app

from project import delivery
from project.accounts.messages import KINDS
from project.commands.console import CommandFailed


def mail_test(address: Annotated[str, "E-mail address to send to."]) -> None:
    """Send a test mail at once, and name the stage that failed."""
    if current_app.config["MAIL_URL"].is_off:
        raise CommandFailed("MAIL_URL is none: set it first; docs/mail.md shows how.")
    outcomes = delivery.module("outcomes")
    try:
        where = delivery.module("trial").send(current_app, address)
    except outcomes.DeliveryError as error:
        is_down = isinstance(error, outcomes.TransportDown)
        remedy = " See When mail stops in docs/mail.md." if is_down else ""
        failed = f"the mail was not sent. Stage {error.stage}: {error.reason}.{remedy}"
        raise CommandFailed(failed) from None
    print(f"Sent: {where}.")


def mail_preview(
    kind: Annotated[str, "Kind of mail, such as password_reset."],
    language: Annotated[str, "Language, such as de; otherwise DEFAULT_LANGUAGE."] = "",
    as_html: Annotated[bool, "Print the HTML part."] = False,
) -> None:
    """Print a mail with sample values."""
    kind = kind.removeprefix("mail.")
    if kind not in KINDS:
        raise CommandFailed(f"{kind!a} is no kind of mail; these are: {', '.join(KINDS)}.")
    trial = delivery.module("trial")
    try:
        rendered = trial.rendered(
            current_app, kind, language or current_app.config["DEFAULT_LANGUAGE"]
        )
    except trial.BROKEN as error:
        raise CommandFailed(f"the template is broken ({type(error).__name__}: {error}).") from None
    print(rendered.html if as_html else f"Subject: {rendered.subject}\n\n{rendered.text}")
