"""Logs: one event a line, in one form for the service, its server and the migrations.

In production and staging a line is a JSON object, elsewhere it is text for people. In neither can
what a client sent begin a line or move a terminal's cursor: it is escaped.
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
"""The logger above all of the service's own."""

TALKATIVE = ("migrations", "_granian", "gunicorn.error")
"""Loggers of others whose news is wanted. Of all the rest only warnings are: SQLAlchemy, told to
debug, would log the rows that it reads."""

INDENT = "    "
STANDARD_ERROR = 2
"""The highest number of a standard stream."""


class JSONFormatter(JsonFormatter):
    """Writes a line as a JSON object in ASCII, with whatever the record was given beside."""

    def __init__(self) -> None:
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        super().__init__([*names, "message"], rename_fields=names)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802  # logging's name
        """Return when it was, as ISO 8601 in UTC to the millisecond."""
        return written_at(record)


class ReadableFormatter(logging.Formatter):
    """Writes a line for people; a traceback's lines follow it, each indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time, level, logger, message and what was given beside."""
        words = [written_at(record), f"{record.levelname:7}", record.name, record.getMessage()]
        for name, value in vars(record).items():
            if name not in RESERVED_ATTRS and value is not None:
                words.append(f"{name}={value}")
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        indented = (f"\n{INDENT}{escaped(line)}" for line in traceback.split("\n") if line)
        return escaped(" ".join(words)) + "".join(indented)


class StandardHandler(logging.StreamHandler[TextIO]):
    """Writes to standard output, each line by one call and with the id of its request."""

    def __init__(self, readable: bool = True) -> None:
        super().__init__(sys.stdout)
        self.failure: OSError | None = None
        self.write_readably(readable)
        self.addFilter(_name_request)

    def write_readably(self, readable: bool) -> None:
        """Write lines for people, or else JSON."""
        self.setFormatter(ReadableFormatter() if readable else JSONFormatter())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Let the request go on whose line could not be written; tell of a fault of ours alone."""
        error = sys.exc_info()[1]
        is_closed = getattr(self.stream, "closed", True)  # None, if it was when Python began
        if isinstance(error, OSError):
            self.failure = error
        elif not is_closed:
            super().handleError(record)


def init_app(app: Flask) -> None:
    """Have this process log as the app's configuration says."""
    _ours().write_readably(not app.config["STRICT"])
    logging.getLogger(SERVICE).setLevel(app.config["LOG_LEVEL"])
    logging.getLogger("migrations").setLevel(logging.INFO)


def write_to(stream: TextIO | None, least: int = logging.NOTSET) -> None:
    """Have the lines of this level and above go to another stream."""
    handler = _ours()
    # setStream() would flush the one before, which may be unwritable.
    handler.stream = stream  # type: ignore[assignment]  # None where there is no such output
    handler.setLevel(least)


def hold_outputs_open() -> None:
    """Put the null device where a standard stream is closed, also for programs run in our place.

    Else the next socket or database file gets the stream's number, and whatever is printed there.
    """
    while (opened := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
        os.set_inheritable(opened, True)
    os.close(opened)


def warn_if_lost() -> None:
    """Say on standard error, once a server starts, that nobody will read what it logs."""
    if failure := _ours().failure:
        lost = f"warning: the log cannot be written, and is lost ({failure.strerror})"
        # It may be as full, and where it is closed this says nothing.
        with suppress(OSError):
            print(lost, file=sys.stderr)


def of_server(readable: bool) -> dict[str, Any]:
    """Return how a server logs until it has loaded the app, and beside it (`logging.config`)."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {
            "standard": {"()": "project.telemetry.logs.StandardHandler", "readable": readable}
        },
        "root": {"level": "WARNING", "handlers": ["standard"]},
        "loggers": {
            name: {"level": "INFO", "handlers": [], "propagate": True} for name in TALKATIVE
        },
    }


def written_at(record: logging.LogRecord) -> str:
    """Return when a record was made, as ISO 8601 in UTC to the millisecond."""
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def escaped(text: str) -> str:
    """Return a text with every character escaped that ends a line or is not printed."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def _name_request(record: logging.LogRecord) -> bool:
    if known := request_id.known():
        record.request_id = known
    return True


def _ours() -> StandardHandler:
    """Return the handler of this process: one, whoever was the first to need it."""
    root = logging.getLogger()
    for handler in root.handlers:
        if isinstance(handler, StandardHandler):
            return handler
    made = StandardHandler()
    root.addHandler(made)
    return made
