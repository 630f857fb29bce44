"""A load of calls of which each is sent once, over connections that are kept where possible."""

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
    """An answer was not a success, so that what was measured is no figure."""


@dataclass(frozen=True)
class Load:
    """What was sent and how long it took: in all, and a request (in milliseconds)."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Reply:
    """What came back; the names of header fields are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float


def send(connection: http.client.HTTPConnection, call: Call) -> Reply:
    """Send a call; return what came, and after how long."""
    began = time.perf_counter()
    headers = dict(call.headers)
    connection.request(call.method, call.path, call.body, headers)
    answer = connection.getresponse()
    fields = {name.lower(): value for name, value in answer.getheaders()}
    body = answer.read()
    return Reply(answer.status, fields, body, time.perf_counter() - began)


def succeeding(call: Call, reply: Reply) -> Reply:
    """Return the reply. Raises Failed where it is no success."""
    if not 200 <= reply.status < 300:
        raise Failed(f"{call.method} {call.path} answered {reply.status}: {reply.body[:200]!r}")
    return reply


def send_all(port: int, calls: Sequence[Call], connections: int) -> tuple[Load, list[Reply]]:
    """Send every call once; return what it took, and the replies in the order of the calls.

    Raises Failed where one is no success.
    """
    waiting = deque(enumerate(calls))
    replies: dict[int, Reply] = {}

    def work(_: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        while waiting:
            try:
                number, call = waiting.popleft()
            except IndexError:  # another was faster
                break
            replies[number] = succeeding(call, send(connection, call))
        connection.close()

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(work, range(connections)))
    seconds = time.perf_counter() - began
    waits = [reply.seconds for reply in replies.values()]
    load = Load(len(calls), seconds, percentile_ms(waits, 50), percentile_ms(waits, 99))
    return load, [replies[number] for number in range(len(calls))]


def raw(port: int, call: Call) -> bytes:
    """Return a call as HTTP/1.1 has it on the wire (RFC 9112)."""
    body = call.body or b""
    fields = {"Host": f"127.0.0.1:{port}", **call.headers}
    if call.body is not None or call.method == "POST":
        fields["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{call.method} {call.path} HTTP/1.1\r\n{head}\r\n".encode() + body


def percentile_ms(seconds: Sequence[float], which: int) -> float:
    """Return a percentile of these waits in milliseconds; of a single one that itself."""
    if len(seconds) < 2:
        return seconds[0] * 1e3
    return statistics.quantiles(seconds, n=100, method="inclusive")[which - 1] * 1e3
