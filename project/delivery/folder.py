"""The transport that writes mail into files, so that development and tests need no server."""

import logging
import os
from pathlib import Path

from project.delivery.mime import Mail

NAME = "mail"

logger = logging.getLogger(__name__)


class Folder:
    """The folder `mail/` of the instance folder: one `.eml` file a message."""

    def __init__(self, instance: Path) -> None:
        self.path = instance / NAME

    def send(self, mail: Mail) -> None:
        """Write a message whole under its name; one that is written again replaces itself."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.path / f"{mail.created_at:%Y%m%dT%H%M%S.%f}-{mail.id.hex}.eml"
        draft = file.with_suffix(f".{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(f"X-Kind: {mail.kind}\r\n".encode() + mail.content)
        draft.replace(file)
        logger.info("mail is in %s", file)
