"""Requests that are rejected before their body has come: what becomes of their connections."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from bench.attackers import post

REQUESTS = 1000
MAX_CONNECTIONS = 8
LATE = 0.002
"""Seconds between a head and its body, as many HTTP clients have it."""
MAX_RETRIES = 10.0
REJECTED = (
    ("/users", "Accept: */*", 200),
    ("/nope", "Accept: */*", 200),
    ("/ping", "Accept: */*", 200),
    ("/auth/login", "Content-Encoding: gzip", 200),
    ("/auth/login", "Accept: */*", 20_000),
    ("/auth/introspect", "Accept: */*", 200_000),
)
"""A path, a field and the length of a body: 401, 404, 405, 415, 413, and 401 with a long body."""


@dataclass
class Fates:
    """What has become of the requests: their statuses, and how many lost what."""

    statuses: Counter[str] = field(default_factory=Counter)
    lost_responses: int = 0
    lost_connections: int = 0


async def measure(port: int, requests: int = REQUESTS) -> Fates:
    """Send so many requests over some connections that are kept; return what became of them."""
    fates = Fates()
    each = requests // MAX_CONNECTIONS
    await asyncio.gather(*(_send(port, each, number, fates) for number in range(MAX_CONNECTIONS)))
    return fates


async def _send(port: int, requests: int, first: int, fates: Fates) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(first, first + requests):
        kept = False
        try:
            async with asyncio.timeout(MAX_RETRIES):
                kept = await _reject(reader, writer, number, fates)
        except (OSError, asyncio.IncompleteReadError):
            fates.lost_responses += 1
        if not kept:
            fates.lost_connections += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def _reject(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, fates: Fates
) -> bool:
    """Send a request and read its response; tell whether the connection is kept."""
    path, extra, length = REJECTED[number % len(REJECTED)]
    writer.write(post(path, length, extra))
    await writer.drain()
    await asyncio.sleep(LATE)
    writer.write(b"x" * length)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    await reader.readexactly(int(fields["content-length"]))
    fates.statuses[head[9:12]] += 1
    return fields.get("connection") != "close"
