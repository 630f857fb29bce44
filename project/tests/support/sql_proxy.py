"""Record the SQL statements that the service sends to its database."""

import socket
import sqlite3
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from sqlalchemy import Engine, event, make_url

from project.tests.support import databases


@contextmanager
def statements(url: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a URL of the same database, and the list of statements sent through that URL.

    The list includes BEGIN and ROLLBACK, which the events of SQLAlchemy leave out.
    """
    watch = through_proxy if databases.kind() == "postgresql" else _watch_sqlite
    with watch(url) as watched:
        yield watched


@contextmanager
def _watch_sqlite(url: str) -> Iterator[tuple[str, list[str]]]:
    sent: list[str] = []

    def trace(connection: sqlite3.Connection, _entry: object) -> None:
        connection.set_trace_callback(sent.append)

    event.listen(Engine, "connect", trace)
    try:
        yield url, sent
    finally:
        event.remove(Engine, "connect", trace)


@contextmanager
def through_proxy(url: str) -> Iterator[tuple[str, list[str]]]:
    """Record the statements to a PostgreSQL server by a proxy in front of it."""
    target = make_url(url)
    with ExitStack() as ends:
        listener = ends.enter_context(socket.create_server(("127.0.0.1", 0)))
        proxy = RecordingProxy((str(target.host), target.port or 5432), ends)
        threading.Thread(target=proxy.accept, args=(listener,), daemon=True).start()
        through = target.set(host="127.0.0.1", port=listener.getsockname()[1])
        plain = through.update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
        yield plain.render_as_string(hide_password=False), proxy.sent
        # Wakes the accepting thread; close() alone would not.
        listener.shutdown(socket.SHUT_RDWR)


@dataclass
class RecordingProxy:
    """A proxy in front of a PostgreSQL server that records statements."""

    address: tuple[str, int]
    ends: ExitStack
    sent: list[str] = field(default_factory=list)

    def accept(self, listener: socket.socket) -> None:
        """Accept clients until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.address)
            for end in (client, server):
                self.ends.callback(end.close)
            for copy in (self.forward, self.forward_responses):
                threading.Thread(target=copy, args=(client, server), daemon=True).start()

    def forward(self, client: socket.socket, server: socket.socket) -> None:
        """Forward messages of a client (PostgreSQL protocol 3.0) and record the statements."""
        with client.makefile("rb") as stream, suppress(OSError):
            server.sendall(_message(stream))  # the start-up message has no type
            while kind := stream.read(1):
                message = _message(stream)
                if kind in (b"Q", b"P"):
                    self.sent.append(message[4:].strip(b"\0").decode())
                server.sendall(kind + message)

    def forward_responses(self, client: socket.socket, server: socket.socket) -> None:
        """Forward messages of the server unchanged."""
        with suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)


def _message(stream: BinaryIO) -> bytes:
    length = stream.read(4)
    return length + stream.read(struct.unpack("!I", length)[0] - 4)
