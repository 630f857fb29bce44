"""granian, which says that it is about to end before it does.

By itself it stops at SIGTERM to take connections and closes those that are idle, and a load
balancer learns of it by the requests that fail.
"""

import signal
import sys

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from project import config, draining, logs
from project.serving import CONNECTIONS, FINISHING_SECONDS, LARGEST_HEAD, THREADS


class DrainingServer(MPServer):
    """A server that goes on for some seconds when SIGTERM ends it, and is not ready meanwhile."""

    drain_seconds = 0.0
    is_terminated = False

    def signal_handler_interrupt(self, *args: object, **kwargs: object) -> None:
        """Note which signal it was: who presses Ctrl-C does not want to wait."""
        self.is_terminated = args[:1] == (signal.SIGTERM,)
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        """End the server; after a SIGTERM later, unless another signal comes or a worker dies."""
        if self.is_terminated:
            self.main_loop_interrupt.clear()
            draining.begin()
            self.main_loop_interrupt.wait(self.drain_seconds)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def make(app: str, host: str, port: str, workers: str, client_timeout: str) -> DrainingServer:
    """Return the server of an app, like `manage:app`; the time is in seconds."""
    return DrainingServer(
        app,
        address=host,
        port=int(port),
        interface=Interfaces.WSGI,
        websockets=False,
        # One connection of HTTP/2 could hold hundreds of threads.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=1000 * int(client_timeout), max_buffer_size=LARGEST_HEAD
        ),
        workers=int(workers),
        backpressure=CONNECTIONS,
        blocking_threads=THREADS,
        workers_kill_timeout=FINISHING_SECONDS,
        # By itself it would end with the first worker that is killed.
        respawn_failed_workers=True,
        log_dictconfig=logs.of_server(readable=not config.is_strict()),
    )


def main(host: str, port: str, workers: str, drain_seconds: str, client_timeout: str) -> None:
    """Serve until a signal ends it; times are in seconds."""
    server = make("manage:app", host, port, workers, client_timeout)
    server.drain_seconds = float(drain_seconds)
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
