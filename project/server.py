"""granian, the server for production, which logs as the service does."""

import sys

from granian import Granian
from granian.constants import Interfaces

from project import config, logs

BLOCKING_THREADS = 16
KILL_TIMEOUT = 10
"""Seconds that a worker has to finish what it has begun when the server is told to end."""


def main(host: str, port: str, workers: str) -> None:
    """Serve until a signal ends it."""
    server = Granian(
        "manage:app",
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        websockets=False,
        workers=int(workers),
        blocking_threads=BLOCKING_THREADS,
        workers_kill_timeout=KILL_TIMEOUT,
        log_dictconfig=logs.of_server(readable=not config.is_strict()),
    )
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
