"""granian, which says that it is about to end before it does.

By itself it stops at SIGTERM to take connections and closes those that are idle, and a load
balancer learns of it by the requests that fail.
"""

import gc
import multiprocessing
import signal
from collections.abc import Callable

from flask import Config, Flask
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.common import AbstractServer
from granian.server.mp import MPServer

from project.limits import MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_THREADS, SHUTDOWN_GRACE
from project.serving import draining
from project.telemetry import logs


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


def serve(
    create_app: Callable[[], Flask], config: Config, host: str, port: int, workers: int
) -> None:
    """Serve until a signal ends it.

    The workers are forked from this process, which has loaded everything: they share its memory,
    begin at once, and see its mark of draining. Each creates an app of its own, since locks and
    pools of connections are not to be shared.
    """
    multiprocessing.set_start_method("fork")
    server = DrainingServer(
        "project:create_app",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        websockets=False,
        # One connection of HTTP/2 could hold hundreds of threads.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=1000 * config["CLIENT_TIMEOUT_SECONDS"],
            max_buffer_size=MAX_HEADER_BYTES,
        ),
        workers=workers,
        backpressure=MAX_CONNECTIONS,
        blocking_threads=MAX_THREADS,
        workers_kill_timeout=SHUTDOWN_GRACE,
        # By itself it would end with the first worker that is killed.
        respawn_failed_workers=True,
        log_dictconfig=logs.of_server(readable=not config["STRICT"]),
    )
    server.drain_seconds = config["DRAIN_SECONDS"]
    gc.freeze()  # else the first collection in a worker would copy what it only looks at
    # MPServer's own way here warns of the threads, which only slow clients use, and sleep in.
    AbstractServer.serve(server, target_loader=create_app, wrap_loader=False)
