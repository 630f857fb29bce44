"""Honest clients whose requests have a time at which they are due, whatever becomes of the others.

A client that waits for each response before it sends the next request leaves most of an outage out
of its figures. Here a latency counts from when the request was due.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

RATE = 20
"""Requests a second, each on a connection of its own."""
MAX_RETRIES = 15.0
"""Seconds after which a request counts as lost, with a latency as long."""


@dataclass
class Latencies:
    """The latencies of honest requests, in seconds, and how many had no good response."""

    seconds: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    def percentile(self, percent: float) -> float:
        """Return this percentile."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def measure(port: int, token: str, seconds: float) -> Latencies:
    """Ask for a status at an even rate for so long; return when all of them have ended."""
    found = Latencies()
    began = time.monotonic()
    asking = []
    for number in range(int(seconds * RATE)):
        due = began + number / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        asking.append(asyncio.create_task(_ask(port, token, due, found)))
    await asyncio.gather(*asking)
    return found


async def _ask(port: int, token: str, due: float, found: Latencies) -> None:
    try:
        async with asyncio.timeout(MAX_RETRIES):
            status = await _status(port, token)
        if status != b"200":
            found.failed[status.decode() or "no response"] += 1
    except OSError as error:  # a time-out is one too
        found.failed[type(error).__name__] += 1
    found.seconds.append(time.monotonic() - due)


async def _status(port: int, token: str) -> bytes:
    """Return the status of `GET /auth/status`, empty where there was no response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"GET /auth/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        return (await reader.read())[9:12]
    finally:
        writer.close()
