"""What the service logs, caught as it would be written."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

from project.telemetry.logs import SERVICE, StandardHandler


class Lines(StringIO):
    """What was written to standard output."""

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Every line as the JSON object that it is."""
        return [object_of(line) for line in self.getvalue().splitlines()]

    def said(self, message: str) -> list[dict[str, Any]]:
        """Return the lines with this message."""
        return [line for line in self.objects if line["message"] == message]


@contextmanager
def caught(*, readable: bool = False, level: int = logging.DEBUG) -> Iterator[Lines]:
    """Yield the lines that the service logs meanwhile."""
    written, service = Lines(), logging.getLogger(SERVICE)
    handler, before = StandardHandler(readable), service.level
    handler.setStream(written)
    logging.getLogger().addHandler(handler)
    service.setLevel(level)
    try:
        yield written
    finally:
        service.setLevel(before)
        logging.getLogger().removeHandler(handler)


def object_of(line: str) -> dict[str, Any]:
    """Return the JSON object that a line is; hold it to be one, with what every line has."""
    read = json.loads(line)
    assert isinstance(read, dict)
    assert list(read)[:4] == ["time", "level", "logger", "message"], line
    return read
