"""The thread that delivers mail in a worker of the server."""

import threading
from multiprocessing.util import Finalize

from flask import Flask

from project.delivery import mail

GRACE = 5.0
"""Seconds that a message in progress has when the worker ends; less than the worker itself has."""

_starting = threading.Lock()


def start(app: Flask) -> None:
    """Start the thread, once; in the process that serves, since servers fork."""
    with _starting:
        if "mail_thread" in app.extensions:
            return
        deliverer = mail.deliverer(app)
        thread = threading.Thread(target=deliverer.run, name="mail", daemon=True)
        app.extensions["mail_thread"] = thread
        thread.start()

    def end() -> None:
        deliverer.stop()
        thread.join(GRACE)

    # Runs at the end of forked workers too, where atexit does not.
    Finalize(None, end, exitpriority=10)
