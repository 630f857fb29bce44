"""Commands that run a server or open a Python shell."""

import logging
import os
import re
import socket
import sys
from typing import Annotated

from flask import Flask, current_app
from flask_script_ng import Option, Server, Shell
from werkzeug.serving import WSGIRequestHandler

from project import create_app
from project.commands.console import CommandFailed, database_name
from project.commands.database import warn_of_pending_migrations
from project.config import share_cores
from project.extensions import db
from project.models import Session, User
from project.serving import server, shared_secret
from project.telemetry import logs, metrics_folder

MAX_PORT = 65535
HELP = {
    "host": "The address to listen on (default: 127.0.0.1).",
    "port": "The port to listen on (default: 5000).",
    "threaded": "Handle each request in a thread of its own; always on.",
    "processes": "The number of processes.",
    "passthrough_errors": "Let an exception end the server.",
    "ssl_crt": "The file of the TLS certificate.",
    "ssl_key": "The file of its private key.",
}
"""Help texts for the options that Flask-Script leaves without one."""

logger = logging.getLogger(__name__)


class SilentHandler(WSGIRequestHandler):
    """A request handler without an access log: the service has its own."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing, since the path may contain an id."""


class DevelopmentServer(Server):  # type: ignore[misc]  # the library has no types
    """Serve with Werkzeug's development server, which restarts when a file changes."""

    help = description = __doc__

    def __init__(self) -> None:
        super().__init__(
            use_debugger=False, use_reloader=True, threaded=True, request_handler=SilentHandler
        )

    def get_options(self) -> list[Option]:
        """Return Flask-Script's options, each with a help text."""
        options: list[Option] = list(super().get_options())
        for option in options:
            option.kwargs.setdefault("help", HELP.get(option.kwargs["dest"]))
        return options

    def __call__(self, app: Flask, host: str, port: int, *args: object, **kwargs: object) -> None:
        """Serve until interrupted."""
        logs.write_to(sys.stdout)
        # Werkzeug's banner contains colour codes for a terminal.
        logging.getLogger("werkzeug").propagate = False
        if "WERKZEUG_RUN_MAIN" not in os.environ:  # it is set in the child of the reloader
            check_port(host, port)
            with app.app_context():
                warn_of_pending_migrations()
                shared_secret.check_at_start()
        super().__call__(app, host, port, *args, **kwargs)


class PythonShell(Shell):  # type: ignore[misc]  # the library has no types
    """Open a Python shell inside the service."""

    help = description = __doc__


def serve(
    host: Annotated[str, "The address to listen on."] = "127.0.0.1",
    port: Annotated[str, "The port to listen on."] = "5000",
    workers: Annotated[str, "The number of worker processes."] = "2",
) -> None:
    """Serve with granian, the server for production."""
    is_port = re.fullmatch(r"[1-9][0-9]{0,4}", port) and int(port) <= MAX_PORT
    if not is_port or not re.fullmatch(r"[1-9][0-9]{0,2}", workers):
        raise CommandFailed(
            f"--port must be a whole number from 1 to {MAX_PORT}, --workers one from 1 to 999."
        )
    check_port(host, int(port))
    logs.write_to(sys.stdout)
    warn_of_pending_migrations()
    shared_secret.check_at_start()
    chosen, address = current_app.config["APP_SETTINGS"], f"http://{host}:{port}"
    page = "; try it at /docs" if current_app.config["DOCS_ENABLED"] else ""
    logger.info("serving %s by %s on %s%s", database_name(), chosen, address, page)
    logs.warn_if_unwritable()
    share_cores(int(workers))
    share_metrics()
    db.engine.dispose()  # workers must not inherit connections
    server.serve(create_app, current_app.config, host, int(port), int(workers))


def share_metrics() -> None:
    """Create the metrics folder of the workers, if metrics are enabled. Raises CommandFailed."""
    if not current_app.config["METRICS_TOKEN"]:
        return
    try:
        metrics_folder.create()
    except OSError as error:
        raise CommandFailed(f"{metrics_folder.REMEDY} ({error.strerror}).") from None


def shell_context() -> dict[str, object]:
    """Return the names that are defined in the shell."""
    return {"app": current_app, "db": db, "User": User, "Session": Session}


def check_port(host: str, port: int) -> None:
    """Raise CommandFailed if the port is unavailable. The server would print a stack trace."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CommandFailed(
                f"cannot listen on {host}:{port} ({reason}); stop the program that uses the port, "
                "or choose another --port."
            ) from None
