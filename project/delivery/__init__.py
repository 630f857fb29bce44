"""Delivers what the outbox holds. Nothing of it is imported until the first message needs it.

`init_app` is all that an app without mail ever runs.
"""

from importlib import import_module
from types import ModuleType

from flask import Flask

from project.accounts.email.recipients import AccountRecipients
from project.accounts.one_time_tokens import DerivedTokens


def module(name: str) -> ModuleType:
    """Return a module of this package, imported when it is first asked for."""
    return import_module(f"{__name__}.{name}")


def init_app(app: Flask) -> None:
    """Have the first request to a server start a thread that delivers, where the workers do."""
    app.extensions.setdefault("mail_recipients", AccountRecipients())
    app.extensions.setdefault("one_time_tokens", DerivedTokens())
    is_on = not app.config["MAIL_URL"].is_off and app.config["MAIL_DELIVERY"] == "workers"
    if is_on and not app.testing:
        app.extensions["on_first_request"].append(lambda: module("thread").start(app))
