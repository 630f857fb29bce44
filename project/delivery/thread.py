"""The thread that delivers mail in a server worker."""

import threading
from multiprocessing.util import Finalize

from flask import Flask

from project.delivery import mail
from project.extensions import add_component, find_component

GRACE = 5.0
"""Seconds to finish the current message when the worker stops; less than the worker's own grace."""

_starting = threading.Lock()


class DeliveryThread(threading.Thread):
    """The delivery thread; an app has at most one."""


def start(app: Flask) -> None:
    """Start the thread, once, in the serving process: a thread does not survive a fork."""
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

    # Finalize also runs when a forked worker exits; atexit does not.
    Finalize(None, end, exitpriority=10)
