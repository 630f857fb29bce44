"""What gunicorn reads when it is started here: `gunicorn -b 0.0.0.0:5000 manage:app`."""

import sys

from gunicorn.workers.base import Worker

from project.config import ConfigError, load
from project.serving import THREADS

# Else gunicorn opens a socket in the home folder, which a container's user may not have.
control_socket_disable = True

# One login's hash must not keep everybody else waiting, and no slow client: they can hold a thread
# for each connection. gunicorn wants more connections than threads.
threads = THREADS
worker_connections = threads + 1

# What is longer than gunicorn's defaults is still answered by the service, in its envelope.
limit_request_line = 8190
limit_request_field_size = 65536

# No header field of a client changes where the service believes to be.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}


def post_worker_init(worker: Worker) -> None:
    """End slow connections from the start: gunicorn has no deadline even for header fields."""
    worker.wsgi.extensions["watch"].start()


def on_starting(_server: object) -> None:
    """Refuse a configuration before any worker does: each would say the same at the same time."""
    try:
        load()
    except ConfigError as error:
        sys.exit(str(error))
