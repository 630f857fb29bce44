"""The transport that writes mail to files, for development and tests without a mail server."""

import logging
import os
from pathlib import Path

from project.delivery.mime import Mail

NAME = "mail"

logger = logging.getLogger(__name__)


class Folder:
    """The folder `mail/` in the instance folder, with one `.eml` file per message."""

    def __init__(self, instance: Path) -> None:
        self.path = instance / NAME

    def send(self, mail: Mail) -> None:
        """Write a message to its file atomically; a repeated message replaces its file."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.path / f"{mail.created_at:%Y%m%dT%H%M%S.%f}-{mail.id.hex}.eml"
        draft = file.with_suffix(f".{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(f"X-Kind: {mail.kind}\r\n".encode() + mail.content)
        draft.replace(file)
        logger.info("mail is in %s", file)
