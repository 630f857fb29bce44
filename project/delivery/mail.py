"""Sends the mails of the outbox: finds the recipient, renders the mail, calls a transport."""

import logging
from pathlib import Path

from flask import Config, Flask

from project.accounts.messages import PREFIX, Claimed, OneTimeTokens, Recipient, Recipients, Skipped
from project.delivery import mime, rendering
from project.delivery.folder import Folder
from project.delivery.loop import Deliverer
from project.delivery.mime import Mail
from project.delivery.outcomes import Rejected
from project.delivery.smtp import SMTPTransport
from project.extensions import end_transaction, find_component, get_component
from project.telemetry.outbox_metrics import OutboxMetrics

RESERVED = (".test", ".example", ".invalid", ".localhost")
"""Reserved top-level names, which have no mail servers (RFC 2606, section 2)."""

logger = logging.getLogger(__name__)


class MailSender:
    """Sends the kinds of messages that begin with `mail.`."""

    prefix = PREFIX

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._config: Config = app.config
        self._folder = Folder(Path(app.config["INSTANCE_PATH"]))
        url = app.config["MAIL_URL"]
        self._smtp = SMTPTransport(app.config) if url.is_smtp else None
        self._renderer = rendering.Renderer(app.config)

    def send(self, message: Claimed) -> None:
        """Send a message. Raises Skipped or a DeliveryError."""
        recipients = get_component(Recipients, self._app)  # type: ignore[type-abstract]
        try:
            recipient = recipients.resolve(message)
        finally:
            end_transaction()  # no transaction may be open during SMTP
        mail = self._made(message, recipient)
        if self._smtp is None:
            self._folder.send(mail)
            return
        if not self._is_allowed(recipient.address):
            self._folder.send(mail)
            raise Skipped("not in MAIL_ONLY_TO; written to the mail folder")
        if recipient.address.lower().endswith(RESERVED):
            raise Skipped("reserved name")
        try:
            self._smtp.send(mail)
        except Rejected as error:
            if error.is_bad_mailbox:
                recipients.refused(message, recipient, str(error))
            raise

    def rest(self) -> None:
        """Close the SMTP connection if it has been idle for too long."""
        if self._smtp:
            self._smtp.rest()

    def close(self) -> None:
        """Close the SMTP connection."""
        if self._smtp:
            self._smtp.close()

    def _made(self, message: Claimed, recipient: Recipient) -> Mail:
        tokens = get_component(OneTimeTokens, self._app)  # type: ignore[type-abstract]
        rendered = self._renderer.render(
            message.kind.removeprefix(PREFIX),
            recipient.language or message.language,
            rendering.variables(self._config, message, tokens),
        )
        try:
            return mime.build(self._config, message, recipient.address, rendered)
        except mime.AddressInvalid:
            raise Rejected("address", "invalid") from None

    def _is_allowed(self, address: str) -> bool:
        allowed = self._config["MAIL_ONLY_TO"]
        known = {address.lower(), address.lower().rpartition("@")[2]}
        return not allowed or bool(known.intersection(allowed))


def deliverer(app: Flask) -> Deliverer:
    """Return a new Deliverer for the mail of this app, with its own SMTP connection."""
    return Deliverer(app, MailSender(app), find_component(OutboxMetrics, app))
