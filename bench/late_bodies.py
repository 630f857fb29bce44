"""Requests that are rejected before their body arrives, and the fate of their connections."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from bench.attackers import post

REQUESTS = 1000
CONNECTIONS = 8
LATE = 0.002
"""Seconds between header and body, as in many HTTP clients."""
TIMEOUT = 10.0
REJECTED = (
    ("/users", "Accept: */*", 200),
    ("/nope", "Accept: */*", 200),
    ("/ping", "Accept: */*", 200),
    ("/auth/login", "Content-Encoding: gzip", 200),
    ("/auth/login", "Accept: */*", 20_000),
    ("/auth/introspect", "Accept: */*", 200_000),
)
"""Paths, header fields and lengths of bodies, for 401, 404, 405, 415, 413 and 401 again."""


@dataclass
class Outcomes:
    """The statuses of the responses, and the numbers of lost responses and connections."""

    statuses: Counter[str] = field(default_factory=Counter)
    lost_responses: int = 0
    lost_connections: int = 0


async def measure(port: int, requests: int = REQUESTS) -> Outcomes:
    """Send this number of requests over persistent connections; return their outcomes."""
    outcomes = Outcomes()
    each = requests // CONNECTIONS
    await asyncio.gather(*(_send(port, each, number, outcomes) for number in range(CONNECTIONS)))
    return outcomes


async def _send(port: int, requests: int, first: int, outcomes: Outcomes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for number in range(first, first + requests):
        kept = False
        try:
            async with asyncio.timeout(TIMEOUT):
                kept = await _send_late(reader, writer, number, outcomes)
        except (OSError, asyncio.IncompleteReadError):
            outcomes.lost_responses += 1
        if not kept:
            outcomes.lost_connections += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


async def _send_late(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int, outcomes: Outcomes
) -> bool:
    """Send a request and read its response; return whether the connection persists."""
    path, extra, length = REJECTED[number % len(REJECTED)]
    writer.write(post(path, length, extra))
    await writer.drain()
    await asyncio.sleep(LATE)
    writer.write(b"x" * length)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    await reader.readexactly(int(fields["content-length"]))
    outcomes.statuses[head[9:12]] += 1
    return fields.get("connection") != "close"
