"""What the service sends to its database, seen from outside of it."""

import socket
import sqlite3
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, event, make_url

from project.tests import databases


@contextmanager
def statements(url: str) -> Iterator[tuple[str, list[str]]]:
    """Yield a URL for the same database, and the list of statements that come over it.

    Every one is there: also BEGIN and ROLLBACK, which SQLAlchemy's own events do not show.
    """
    watch = _watch_postgresql if databases.kind() == "postgresql" else _watch_sqlite
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
def _watch_postgresql(url: str) -> Iterator[tuple[str, list[str]]]:
    """Stand between the service and its server, and read along."""
    sent: list[str] = []
    target = make_url(url)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        address = (str(target.host), target.port or 5432)
        threading.Thread(target=_accept, args=(listener, address, sent), daemon=True).start()
        through = target.set(host="127.0.0.1", port=port)
        plain = through.update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
        yield plain.render_as_string(hide_password=False), sent


def _accept(listener: socket.socket, address: tuple[str, int], sent: list[str]) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:  # the test is over
            return
        server = socket.create_connection(address)
        for target, arguments in ((_requests, (client, server, sent)), (_copy, (server, client))):
            threading.Thread(target=target, args=arguments, daemon=True).start()


def _requests(client: socket.socket, server: socket.socket, sent: list[str]) -> None:
    """Forward the client's messages (PostgreSQL's protocol 3.0) and note the statements."""
    stream = client.makefile("rb")
    server.sendall(_message(stream.read(4), stream.read))  # the start-up message has no type
    while kind := stream.read(1):
        message = _message(stream.read(4), stream.read)
        if kind in (b"Q", b"P"):
            sent.append(message[4:].strip(b"\0").decode())
        server.sendall(kind + message)
    server.close()


def _message(length: bytes, read: object) -> bytes:
    assert callable(read)
    return length + bytes(read(struct.unpack("!I", length)[0] - 4))


def _copy(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:  # the other end is gone
        return
