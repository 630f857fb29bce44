"""Who is at the other end of a request, as far as it can be told."""

import logging
from threading import Lock

from flask import current_app, request

from project.security.addresses import UNKNOWN, client_address, is_address

FORWARDING_FIELDS = ("X-Forwarded-For", "Forwarded")
"""What a proxy tells a client's address by; the first alone is read."""


WARNING = "project.http.client_address.warning"


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


def address() -> str:
    """Return the address of the request's client, as far as trusted proxies tell it.

    UNKNOWN where the request came over a Unix socket, or where a proxy named nobody.
    """
    trusted = current_app.config["TRUSTED_PROXIES"]
    chain = request.headers.getlist(FORWARDING_FIELDS[0])
    peer = request.remote_addr or ""
    found = client_address(peer, chain, trusted)
    if found == UNKNOWN and is_address(peer):
        _warn_once(EMPTY, peer, FORWARDING_FIELDS[0], found)
    elif found == UNKNOWN or not trusted:
        _warn_of_a_proxy(found)
    return found


def _warn_of_a_proxy(peer: str) -> None:
    """Warn where a proxy seems to be there and is not listened to."""
    field = next((name for name in FORWARDING_FIELDS if name in request.headers), None)
    if field:
        _warn_once(NO_ADDRESS if peer == UNKNOWN else NOT_TRUSTED, peer, field, peer)


def _warn_once(message: str, *details: str) -> None:
    """Log this warning once in each process."""
    # A lock that nobody gives back: of all threads one gets it, and only once.
    once = current_app.extensions.setdefault(f"{WARNING}: {message}", Lock())
    if once.acquire(blocking=False):
        logger.warning(message, *details)
