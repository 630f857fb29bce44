"""What gunicorn reads when it is started here: `gunicorn -b 0.0.0.0:5000 manage:app`."""

import sys

from gunicorn.arbiter import Arbiter

from project import logs
from project.config import ConfigError, is_strict, load, share_cores

# Else gunicorn opens a socket in the home folder, which a container's user may not have.
control_socket_disable = True

# One login's hash must not keep everybody else waiting.
threads = 16

# Its words are lines of the same log; the access log is the service's own.
logconfig_dict = logs.of_server(readable=not is_strict())

# What is longer than gunicorn's defaults is still answered by the service, in its envelope.
limit_request_line = 8190
limit_request_field_size = 65536

# No header field of a client changes where the service believes to be.
forwarder_headers = ""
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}


def on_starting(server: Arbiter) -> None:
    """Refuse a configuration before any worker does: each would say the same at the same time."""
    share_cores(server.cfg.workers)
    try:
        load()
    except ConfigError as error:
        sys.exit(str(error))
