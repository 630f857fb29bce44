"""Delivers the messages of the outbox.

The modules of this package are imported on first use, so an app without mail runs only `init_app`.
"""

from importlib import import_module
from types import ModuleType

from flask import Flask

from project.accounts.email.recipients import AccountRecipients
from project.accounts.messages import OneTimeTokens, Recipients
from project.accounts.one_time_tokens import DerivedTokens
from project.extensions import add_component, get_component
from project.serving.concurrency import StartHooks


def module(name: str) -> ModuleType:
    """Import a module of this package and return it."""
    return import_module(f"{__name__}.{name}")


def init_app(app: Flask) -> None:
    """Start the delivery thread at the first request if MAIL_DELIVERY is `workers`."""
    add_component(app, AccountRecipients(), Recipients)
    add_component(app, DerivedTokens(), OneTimeTokens)
    is_on = not app.config["MAIL_URL"].is_off and app.config["MAIL_DELIVERY"] == "workers"
    if is_on and not app.testing:
        get_component(StartHooks, app).add(lambda: module("thread").start(app))
