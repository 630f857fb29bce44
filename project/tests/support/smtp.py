"""A mail server that fails on demand: at a chosen stage, by a response, silence or a drop."""

import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

HANG = "hang"
DROP = "drop"
DRIP = "drip"
DROP_AFTER_ACCEPTING = "drop after accepting"

ACCEPTED = {
    "greeting": "220 mail.members.net ESMTP",
    "ehlo": "250-mail.members.net\r\n250 ENHANCEDSTATUSCODES",
    "auth": "235 2.7.0 welcome",
    "mail": "250 2.1.0 sender ok",
    "rcpt": "250 2.1.5 recipient ok",
    "data": "354 go on",
    "message": "250 2.0.0 queued",
    "rset": "250 2.0.0 flushed",
    "quit": "221 2.0.0 bye",
}
BETWEEN_DRIPS = 0.02
Reply = str | Callable[[str], str]


@dataclass(frozen=True)
class Received:
    """A message as it came, with its envelope."""

    sender: str
    recipient: str
    content: bytes

    @property
    def parsed(self) -> EmailMessage:
        """The message."""
        return message_from_bytes(self.content, policy=policy.default)


@dataclass
class FaultyServer:
    """The replies of the server at each stage; a callable gets the command."""

    replies: dict[str, Reply] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def reply(self, stage: str, line: str) -> str:
        """Return the reply at a stage."""
        reply = self.replies.get(stage) or ACCEPTED.get(stage, "500 5.5.1 unknown")
        return reply if isinstance(reply, str) else reply(line)

    def accept(self, message: Received) -> None:
        """Keep a message."""
        with self.arrived:
            self.received.append(message)
            self.arrived.notify_all()

    def wait_for(self, number: int, seconds: float = 20) -> bool:
        """Wait until so many messages have come; return whether they have."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.received) >= number, seconds)

    @property
    def url(self) -> str:
        """The transport that leads here."""
        return f"smtp+plain://127.0.0.1:{self.port}"

    @property
    def recipients(self) -> list[str]:
        """The recipients of the received messages, in order."""
        return [message.recipient for message in self.received]


class _Conversation(socketserver.StreamRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Converse until either side has enough."""
        server = cast("_Server", self.server).faulty
        server.connections += 1
        try:
            if self._say(server.reply("greeting", "")):
                self._listen(server)
        except OSError:
            return

    def _listen(self, server: FaultyServer) -> None:
        sender = recipient = ""
        while line := self.rfile.readline().decode("utf-8", "replace").strip():
            verb = line.partition(" ")[0].lower()
            server.commands[verb] += 1
            server.lines.append(line)
            said = server.reply(verb, line)
            if not self._say(said) or verb == "quit":
                return
            if verb == "mail":
                sender = line.partition("<")[2].partition(">")[0]
            elif verb == "rcpt":
                recipient = line.partition("<")[2].partition(">")[0]
            elif verb == "data" and said.startswith("354"):
                content = self._content()
                if content is None:
                    return
                message = Received(sender, recipient, content)
                reply = server.reply("message", recipient)
                if reply == DROP_AFTER_ACCEPTING or reply.startswith("2"):
                    server.accept(message)
                if not self._say(reply):
                    return

    def _content(self) -> bytes | None:
        """Return the message, or None where the client has gone before its end."""
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line.endswith(b"\r\n"):
                return None
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def _say(self, reply: str) -> bool:
        """Reply; return whether the conversation goes on."""
        server = cast("_Server", self.server).faulty
        if reply == HANG:
            server.released.wait(60)
        if reply == DRIP:
            while not server.released.wait(BETWEEN_DRIPS):
                self.wfile.write(b"250-wait\r\n")
        if reply in (HANG, DRIP, DROP, DROP_AFTER_ACCEPTING):
            return False
        self.wfile.write(f"{reply}\r\n".encode())
        return not reply.startswith("421")


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    allow_reuse_address = True

    def __init__(self, faulty: FaultyServer, port: int) -> None:
        self.faulty = faulty
        self.open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Conversation)
        faulty.port = self.server_address[1]

    def process_request(self, request: object, client_address: object) -> None:
        """Remember the connection, to cut it at the end."""
        self.open.add(cast(socket.socket, request))
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def shutdown_request(self, request: object) -> None:
        """Forget the connection."""
        self.open.discard(cast(socket.socket, request))
        super().shutdown_request(request)  # type: ignore[arg-type]


@contextmanager
def running(server: FaultyServer | None = None, port: int = 0) -> Iterator[FaultyServer]:
    """Serve for as long as the block lasts; then every connection is cut."""
    faulty = server or FaultyServer()
    faulty.released.clear()
    with _Server(faulty, port) as listener:
        thread = threading.Thread(target=listener.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield faulty
        finally:
            faulty.released.set()
            listener.shutdown()
            thread.join()
            for connection in [*listener.open]:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue
