"""Logging: one event per line, in the same format for the service, its server and the migrations.

In production and staging a line is a JSON object; elsewhere it is readable text. Both escape what a
client has sent, so that it cannot start a line or move a terminal's cursor.
"""

import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

from flask import Flask
from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from project.telemetry import request_id

SERVICE = "project"
"""The parent of all the service's loggers."""

INFO_LOGGERS = ("migrations", "_granian", "gunicorn.error")
"""Other loggers that log at level INFO. All the rest log warnings and errors only: SQLAlchemy at
level DEBUG would log the rows that it reads."""

INDENT = "    "
STANDARD_ERROR = 2
"""The number of its file descriptor, the highest one of the three standard streams."""


class JSONFormatter(JsonFormatter):
    """Formats a record and its extra fields as a JSON object in ASCII."""

    def __init__(self) -> None:
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        super().__init__([*names, "message"], rename_fields=names)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's name
        """Return the time of a record as ISO 8601 in UTC, to the millisecond."""
        return format_time(record)


class ReadableFormatter(logging.Formatter):
    """Formats a record as a readable line, followed by the indented lines of its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger, message and extra fields."""
        words = [format_time(record), f"{record.levelname:7}", record.name, record.getMessage()]
        for name, value in vars(record).items():
            if name not in RESERVED_ATTRS and value is not None:
                words.append(f"{name}={value}")
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        indented = (f"\n{INDENT}{escape(line)}" for line in traceback.split("\n") if line)
        return escape(" ".join(words)) + "".join(indented)


class StandardHandler(logging.StreamHandler[TextIO]):
    """Writes records to standard output, each by one call and with its request id."""

    def __init__(self, readable: bool = True) -> None:
        super().__init__(sys.stdout)
        self.failure: OSError | None = None
        self.use_format(readable)
        self.addFilter(_add_request_id)

    def use_format(self, readable: bool) -> None:
        """Write readable lines, or JSON."""
        self.setFormatter(ReadableFormatter() if readable else JSONFormatter())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Record that the output cannot be written; report any other error.

        The request goes on either way.
        """
        error = sys.exc_info()[1]
        # The stream is None if standard output was closed when Python started.
        is_closed = getattr(self.stream, "closed", True)
        if isinstance(error, OSError):
            self.failure = error
        elif not is_closed:
            super().handleError(record)


def init_app(app: Flask) -> None:
    """Configure the logging of this process by the app's settings."""
    _get_handler().use_format(not app.config["STRICT"])
    logging.getLogger(SERVICE).setLevel(app.config["LOG_LEVEL"])
    logging.getLogger("migrations").setLevel(logging.INFO)


def write_to(stream: TextIO | None, min_level: int = logging.NOTSET) -> None:
    """Write records of this level and above to another stream."""
    handler = _get_handler()
    # setStream() would flush the previous stream, which may be unwritable.
    handler.stream = stream  # type: ignore[assignment]  # None where the stream is closed
    handler.setLevel(min_level)


def reserve_standard_streams() -> None:
    """Open the null device in place of each closed standard stream, for child programs too.

    Otherwise the next socket or database file would get the number of the closed stream, and
    everything printed to that stream would be written into it.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        os.set_inheritable(opened, True)
    os.close(opened)


def warn_if_unwritable() -> None:
    """Print a warning on standard error if the log cannot be written."""
    if failure := _get_handler().failure:
        warning = f"warning: the log cannot be written, and is lost ({failure.strerror})"
        # Standard error may be full as well.
        with suppress(OSError):
            print(warning, file=sys.stderr)


def server_config(readable: bool) -> dict[str, Any]:
    """Return the logging configuration of a server, in the format of `logging.config`."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "standard": {"()": "project.telemetry.logs.StandardHandler", "readable": readable}
        },
        "root": {"level": "WARNING", "handlers": ["standard"]},
        "loggers": {
            name: {"level": "INFO", "handlers": [], "propagate": True} for name in INFO_LOGGERS
        },
    }


def format_time(record: logging.LogRecord) -> str:
    """Return the time of a record as ISO 8601 in UTC, to the millisecond."""
    created_at = datetime.fromtimestamp(record.created, UTC)
    return created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def escape(text: str) -> str:
    """Return a text with its line breaks and unprintable characters escaped."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _add_request_id(record: logging.LogRecord) -> bool:
    if current := request_id.current():
        record.request_id = current
    return True


def _get_handler() -> StandardHandler:
    """Return the only handler of this process; create it on first use."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, StandardHandler):
            return handler
    created = StandardHandler()
    root.addHandler(created)
    return created
