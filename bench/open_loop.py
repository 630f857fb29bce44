"""Open-loop clients, which send requests at fixed times without waiting for earlier responses.

A client that waits for each response before it sends the next request misses most of an outage.
Here the latency of a request counts from its scheduled time.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field

RATE = 20
"""Requests per second, each on a new connection."""
TIMEOUT = 15.0
"""Seconds after which a request counts as lost, with this latency."""


@dataclass
class Latencies:
    """The latencies of requests in seconds, and the number of failures by reason."""

    seconds: list[float] = field(default_factory=list)
    failed: Counter[str] = field(default_factory=Counter)

    def percentile(self, percent: float) -> float:
        """Return a percentile of the latencies."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


async def measure(port: int, token: str, seconds: float) -> Latencies:
    """Request the user of a token at a constant rate; return the latencies of all requests."""
    latencies = Latencies()
    started_at = time.monotonic()
    tasks = []
    for number in range(int(seconds * RATE)):
        due_at = started_at + number / RATE
        await asyncio.sleep(max(0.0, due_at - time.monotonic()))
        tasks.append(asyncio.create_task(_request(port, token, due_at, latencies)))
    await asyncio.gather(*tasks)
    return latencies


async def _request(port: int, token: str, due_at: float, latencies: Latencies) -> None:
    try:
        async with asyncio.timeout(TIMEOUT):
            status = await _get_status_code(port, token)
        if status != b"200":
            latencies.failed[status.decode() or "no response"] += 1
    except OSError as error:  # includes TimeoutError
        latencies.failed[type(error).__name__] += 1
    latencies.seconds.append(time.monotonic() - due_at)


async def _get_status_code(port: int, token: str) -> bytes:
    """Return the status code of `GET /auth/status`; empty if there was no response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = f"GET /auth/status HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode())
        return (await reader.read())[9:12]
    finally:
        writer.close()
