"""The granian server, with draining before shutdown.

On SIGTERM granian immediately stops accepting connections and closes idle ones. A load balancer
would notice only when requests fail.
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
    """A server that continues to serve for some seconds after SIGTERM, and reports draining."""

    drain_seconds = 0.0
    is_terminated = False

    def signal_handler_interrupt(self, *args: object, **kwargs: object) -> None:
        """Record whether the signal is SIGTERM: Ctrl-C (SIGINT) ends the server at once."""
        self.is_terminated = args[:1] == (signal.SIGTERM,)
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        """End the server, after draining if it was terminated.

        Another signal, or the death of a worker, ends the draining early.
        """
        if self.is_terminated:
            self.main_loop_interrupt.clear()
            draining.begin()
            self.main_loop_interrupt.wait(self.drain_seconds)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def serve(
    create_app: Callable[[], Flask], config: Config, host: str, port: int, workers: int
) -> None:
    """Serve until a signal ends the server.

    The workers are forked from this process after it has loaded all modules: they share its
    memory, start fast, and see the draining flag. Each worker creates its own app, since locks and
    connection pools must not be shared.
    """
    multiprocessing.set_start_method("fork")
    server = DrainingServer(
        "project:create_app",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        websockets=False,
        # A single HTTP/2 connection could occupy hundreds of threads.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=1000 * config["CLIENT_TIMEOUT_SECONDS"],
            max_buffer_size=MAX_HEADER_BYTES,
        ),
        workers=workers,
        backpressure=MAX_CONNECTIONS,
        blocking_threads=MAX_THREADS,
        workers_kill_timeout=SHUTDOWN_GRACE,
        # By default the server ends when one worker is killed.
        respawn_failed_workers=True,
        log_dictconfig=logs.server_config(readable=not config["STRICT"]),
    )
    server.drain_seconds = config["DRAIN_SECONDS"]
    gc.freeze()  # the first collection in a worker would copy the shared memory
    # MPServer.serve() warns about the number of threads, most of which only wait for slow clients.
    AbstractServer.serve(server, target_loader=create_app, wrap_loader=False)
