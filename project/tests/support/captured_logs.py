"""Log lines of the service, captured in the format it writes."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

from project.telemetry.logs import SERVICE, StandardHandler


class CapturedLines(StringIO):
    """The captured output."""

    @property
    def objects(self) -> list[dict[str, Any]]:
        """Every line, parsed as a JSON object."""
        return [parse(line) for line in self.getvalue().splitlines()]

    def with_message(self, message: str) -> list[dict[str, Any]]:
        """Return the lines with this message."""
        return [line for line in self.objects if line["message"] == message]


@contextmanager
def captured(*, readable: bool = False, level: int = logging.DEBUG) -> Iterator[CapturedLines]:
    """Yield the lines that the service logs within the block."""
    written, service = CapturedLines(), logging.getLogger(SERVICE)
    handler, before = StandardHandler(readable), service.level
    handler.setStream(written)
    logging.getLogger().addHandler(handler)
    service.setLevel(level)
    try:
        yield written
    finally:
        service.setLevel(before)
        logging.getLogger().removeHandler(handler)


def parse(line: str) -> dict[str, Any]:
    """Parse a line; assert that it is a JSON object with the common fields first."""
    read = json.loads(line)
    assert isinstance(read, dict)
    assert list(read)[:4] == ["time", "level", "logger", "message"], line
    return read
