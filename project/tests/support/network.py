"""A proxy between the service and its database that can stop forwarding."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from sqlalchemy import make_url


class BlackHole:
    """A TCP proxy that can stop forwarding while its connections stay open.

    Data received meanwhile is forwarded later, as TCP would retransmit it.
    """

    def __init__(self, address: tuple[str, int], ends: ExitStack) -> None:
        self.address = address
        self.ends = ends
        self.passing = threading.Event()
        self.passing.set()

    @contextmanager
    def swallowing(self) -> Iterator[None]:
        """Forward nothing within the block."""
        self.passing.clear()
        try:
            yield
        finally:
            self.passing.set()

    def accept(self, listener: socket.socket) -> None:
        """Accept clients until the listener is closed."""
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection(self.address)
                for end in (client, server):
                    self.ends.callback(end.close)
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self.copy, args=ends, daemon=True).start()

    def copy(self, source: socket.socket, target: socket.socket) -> None:
        """Forward one direction of a connection, including its end."""
        with suppress(OSError):
            while data := source.recv(65536):
                self.passing.wait()
                target.sendall(data)
            self.passing.wait()
            target.shutdown(socket.SHUT_WR)


@contextmanager
def before(url: str) -> Iterator[tuple[str, BlackHole]]:
    """Start a proxy to a PostgreSQL server; yield the URL through it, and the proxy."""
    target = make_url(url)
    with ExitStack() as ends:
        listener = ends.enter_context(socket.create_server(("127.0.0.1", 0)))
        hole = BlackHole((str(target.host), target.port or 5432), ends)
        threading.Thread(target=hole.accept, args=(listener,), daemon=True).start()
        through = target.set(host="127.0.0.1", port=listener.getsockname()[1])
        yield through.render_as_string(hide_password=False), hole
        # Wakes the accepting thread; close() alone would not.
        listener.shutdown(socket.SHUT_RDWR)
