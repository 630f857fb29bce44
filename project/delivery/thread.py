"""The thread that delivers mail in a worker of the server."""

import threading
from multiprocessing.util import Finalize

from flask import Flask

from project.delivery import mail
from project.extensions import add_component, find_component

GRACE = 5.0
"""Seconds that a message in progress has when the worker ends; less than the worker itself has."""

_starting = threading.Lock()


class DeliveryThread(threading.Thread):
    """The thread that delivers mail; an app has at most one."""


def start(app: Flask) -> None:
    """Start the thread, once; in the process that serves, since servers fork."""
    with _starting:
        if find_component(DeliveryThread, app):
            return
        deliverer = mail.deliverer(app)
        thread = DeliveryThread(target=deliverer.run, name="mail", daemon=True)
        add_component(app, thread)
        thread.start()

    def end() -> None:
        deliverer.stop()
        thread.join(GRACE)

    # Runs at the end of forked workers too, where atexit does not.
    Finalize(None, end, exitpriority=10)
