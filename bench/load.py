"""A load in which each request is sent once, over persistent connections where possible."""

import http.client
import statistics
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bench.contestants import Call

TIMEOUT = 60.0


class Failed(Exception):
    """The measurement is invalid, since a response was not successful."""


@dataclass(frozen=True)
class Load:
    """The number of requests, their total time, and their latencies in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Reply:
    """A response and its latency. The names of its header fields are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


def send(connection: http.client.HTTPConnection, call: Call) -> Reply:
    """Send a request; return its response."""
    began = time.perf_counter()
    headers = dict(call.headers)
    connection.request(call.method, call.path, call.body, headers)
    answer = connection.getresponse()
    fields = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    return Reply(answer.status, fields, body, time.perf_counter() - began)


def check_success(call: Call, reply: Reply) -> Reply:
    """Return the response. Raises Failed if it is not successful."""
    if not 200 <= reply.status < 300:
        raise Failed(f"{call.method} {call.path} returned {reply.status}: {reply.body[:200]!r}")
    return reply


def send_all(port: int, calls: Sequence[Call], connections: int) -> tuple[Load, list[Reply]]:
    """Send each request once; return the load, and the responses in the order of the requests.

    Raises Failed if one is not successful.
    """
    waiting = deque(enumerate(calls))
    replies: dict[int, Reply] = {}

    def work(_: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        while waiting:
            try:
                number, call = waiting.popleft()
            except IndexError:  # another thread took the last request
                break
            replies[number] = check_success(call, send(connection, call))
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, range(connections)))
    seconds = time.perf_counter() - began
    waits = [reply.seconds for reply in replies.values()]
    load = Load(len(calls), seconds, percentile_ms(waits, 50), percentile_ms(waits, 99))
    return load, [replies[number] for number in range(len(calls))]


def raw(port: int, call: Call) -> bytes:
    """Return the bytes of a request in HTTP/1.1 (RFC 9112)."""
    body = call.body or b""
    fields = {"Host": f"127.0.0.1:{port}", **call.headers}
    if call.body is not None or call.method == "POST":
        fields["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{call.method} {call.path} HTTP/1.1\r\n{head}\r\n".encode() + body


def percentile_ms(seconds: Sequence[float], which: int) -> float:
    """Return a percentile of these latencies in milliseconds."""
    if len(seconds) < 2:
        return seconds[0] * 1e3
    return statistics.quantiles(seconds, n=100, method="inclusive")[which - 1] * 1e3
