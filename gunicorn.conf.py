"""gunicorn's configuration, which it reads from the working folder: `gunicorn manage:app`."""

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

# This has to happen before gunicorn opens sockets.
logs.reserve_standard_streams()

# gunicorn would open a control socket in the home folder, which a container's user may lack.
control_socket_disable = True

# Hashing and slow clients occupy threads, so there are many. gunicorn keeps as many idle
# connections as worker_connections exceeds threads; these occupy no thread.
threads = MAX_THREADS
worker_connections = MAX_THREADS + MAX_CONNECTIONS

# Starts after draining, and ends before a container is killed.
graceful_timeout = SHUTDOWN_GRACE

# gunicorn's messages go to the service's log. Its access log is off: the service has its own.
logconfig_dict = logs.server_config(readable=not is_strict())

# Above gunicorn's defaults, so that the service itself rejects long requests, in its JSON envelope.
limit_request_line = 8190
limit_request_field_size = 16 * 1024
limit_request_fields = 100

# No header field of a client changes the scheme or the path that the service sees.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}


def post_worker_init(worker: Worker) -> None:
    """Apply the limits that gunicorn lacks, and check the worker's secret.

    The reaper starts at once, since gunicorn has no deadline for header fields either.
    """
    get_component(IdleConnectionReaper, worker.wsgi).start()
    with worker.wsgi.app_context():
        shared_secret.check_at_start()
    gunicorn_worker.limit_header_bytes()
    gunicorn_worker.limit_read_ahead()
    gunicorn_worker.close_in_background()


def on_starting(server: Arbiter) -> None:
    """Reject a wrong configuration before the workers start, so that it is reported once."""
    logs.warn_if_unwritable()
    share_cores(server.cfg.workers)
    try:
        configuration = load()
    except ConfigError as error:
        sys.exit(str(error))
    if configuration["METRICS_TOKEN"]:
        _share_metrics()


def when_ready(server: Any) -> None:
    """Drain before the shutdown that follows SIGTERM: the workers go on serving meanwhile."""
    shut_down = server.handle_term
    seconds = load()["DRAIN_SECONDS"]

    def drain() -> None:
        draining.begin()
        time.sleep(seconds)
        shut_down()

    server.handle_term = drain


def _share_metrics() -> None:
    try:
        metrics_folder.create()
    except OSError as error:
        sys.exit(f"{metrics_folder.REMEDY} ({error.strerror}).")
