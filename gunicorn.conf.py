"""What gunicorn reads when it is started here: `gunicorn -b 0.0.0.0:5000 manage:app`."""

import sys
import time
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

from project.config import ConfigError, is_strict, load, share_cores
from project.extensions import get_component
from project.limits import MAX_CONNECTIONS, MAX_THREADS, SHUTDOWN_GRACE
from project.serving import draining, gunicorn_worker, shared_secret
from project.serving.slow_clients import IdleConnectionReaper
from project.telemetry import logs, metrics_folder

# Before gunicorn opens sockets.
logs.hold_outputs_open()

# Else gunicorn opens a socket in the home folder, which a container's user may not have.
control_socket_disable = True

# One login's hash must not keep everybody else waiting, and no slow client: they can hold a thread
# for each connection. gunicorn keeps as many connections alive as there are more than threads, and
# these hold none.
threads = MAX_THREADS
worker_connections = MAX_THREADS + MAX_CONNECTIONS

# After the draining, and before a container is killed.
graceful_timeout = SHUTDOWN_GRACE

# Its words are lines of the same log; the access log is the service's own.
logconfig_dict = logs.of_server(readable=not is_strict())

# What is longer than gunicorn's defaults is still answered by the service, in its envelope.
limit_request_line = 8190
limit_request_field_size = 16 * 1024
limit_request_fields = 100

# No header field of a client changes where the service believes to be.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}


def post_worker_init(worker: Worker) -> None:
    """End slow connections from the start: gunicorn has no deadline even for header fields.

    And have the worker say where it has another secret than the other servers.
    """
    get_component(IdleConnectionReaper, worker.wsgi).start()
    with worker.wsgi.app_context():
        shared_secret.check_at_start()
    gunicorn_worker.bound_heads()
    gunicorn_worker.bound_reading_ahead()
    gunicorn_worker.linger_elsewhere()


def on_starting(server: Arbiter) -> None:
    """Refuse a configuration before any worker does: each would say the same at the same time."""
    logs.warn_if_lost()
    share_cores(server.cfg.workers)
    try:
        configuration = load()
    except ConfigError as error:
        sys.exit(str(error))
    if configuration["METRICS_TOKEN"]:
        _share_counts()


def when_ready(server: Any) -> None:
    """Have the master say that it is about to end before it does; the workers serve meanwhile."""
    end = server.handle_term
    seconds = load()["DRAIN_SECONDS"]

    def drain() -> None:
        draining.begin()
        time.sleep(seconds)
        end()

    server.handle_term = drain


def _share_counts() -> None:
    try:
        metrics_folder.make()
    except OSError as error:
        sys.exit(f"{metrics_folder.REMEDY} ({error.strerror}).")
