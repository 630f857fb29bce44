"""The network address of a request's client."""

import logging
from threading import Lock

from flask import Flask, current_app, request

from project.extensions import add_component, get_component
from project.security.addresses import UNKNOWN, client_address, is_address

FORWARDED_FOR = "X-Forwarded-For"
FORWARDING_FIELDS = (FORWARDED_FOR, "Forwarded")
"""The header fields in which proxies send a client's address; the service reads only the first."""

NOT_TRUSTED = (
    "a request from %s came with %s, and TRUSTED_PROXIES is empty: if that is a proxy of yours, "
    "set TRUSTED_PROXIES to its network and have it send X-Forwarded-For, or every client counts "
    "as %s"
)
NO_ADDRESS = (
    "a request from an %s address, as over a Unix socket, came with %s, which is never believed: "
    "have the service listen on a port and set TRUSTED_PROXIES to the networks of your proxies, "
    "or every client counts as %s"
)
EMPTY = (
    "a request from %s, which TRUSTED_PROXIES lists, came with an empty %s, or an empty element in "
    "it: such clients count as %s together; have the outermost proxy overwrite the field with the "
    "client's address, and append nothing to what the client sent"
)

logger = logging.getLogger(__name__)


class ProxyWarnings:
    """Logs each warning about proxies once in a process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._logged: set[str] = set()

    def log(self, message: str, *details: str) -> None:
        """Log the warning, unless it was logged before."""
        with self._lock:
            is_known = message in self._logged
            self._logged.add(message)
        if not is_known:
            logger.warning(message, *details)


def init_app(app: Flask) -> None:
    """Warn of proxies that the configuration does not trust."""
    add_component(app, ProxyWarnings())


def address() -> str:
    """Return the client's address, read from X-Forwarded-For where trusted proxies sent it.

    UNKNOWN where the request came over a Unix socket, or where a proxy sent no address.
    """
    trusted = current_app.config["TRUSTED_PROXIES"]
    chain = request.headers.getlist(FORWARDED_FOR)
    peer = request.remote_addr or ""
    found = client_address(peer, chain, trusted)
    if found == UNKNOWN and is_address(peer):
        get_component(ProxyWarnings).log(EMPTY, peer, FORWARDED_FOR, found)
    elif found == UNKNOWN or not trusted:
        _warn_of_untrusted_proxy(found)
    return found


def _warn_of_untrusted_proxy(peer: str) -> None:
    """Warn where a request has a proxy's header field that the service ignores."""
    field = next((name for name in FORWARDING_FIELDS if name in request.headers), None)
    if field:
        message = NO_ADDRESS if peer == UNKNOWN else NOT_TRUSTED
        get_component(ProxyWarnings).log(message, peer, field, peer)
