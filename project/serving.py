"""How the servers are told to serve: the same numbers for granian and for gunicorn."""

import sys

from project.api.admission import PLACES

CONNECTIONS = 512
"""Connections that a worker holds; more wait to be accepted."""
THREADS = CONNECTIONS + PLACES
"""Threads that a worker has at the most: slow clients hold one for each connection, and no more."""
LARGEST_HEAD = 128 * 1024
"""Bytes of a request line and its header fields; granian's own limit is thrice as much."""
KILL_TIMEOUT = 10
"""Seconds that a worker has to finish what it has begun when the server is told to end."""


def granian(host: str, port: str, workers: str, client_timeout: int) -> list[str]:
    """Return the command that serves by granian; `client_timeout` is in seconds."""
    options: dict[str, object] = {
        "--interface": "wsgi",
        # One connection of HTTP/2 could hold hundreds of threads.
        "--http": 1,
        "--host": host,
        "--port": port,
        "--workers": workers,
        "--backpressure": CONNECTIONS,
        "--blocking-threads": THREADS,
        "--http1-header-read-timeout": 1000 * client_timeout,
        "--http1-buffer-size": LARGEST_HEAD,
        "--workers-kill-timeout": KILL_TIMEOUT,
    }
    told = [str(word) for option in options.items() for word in option]
    return [sys.executable, "-m", "granian", "--no-ws", *told, "manage:app"]
