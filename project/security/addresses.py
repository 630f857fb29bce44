"""The client's address behind proxies, and the networks that rate limits count as one client.

Each proxy appends the address of its caller to X-Forwarded-For. The chain is read from the right:
everything left of the first untrusted address can be forged.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import islice

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
"""The client of every request without an IP address, such as one over a Unix socket."""

CACHE_SIZE = 4096
"""Addresses whose parsed form is cached."""

MAX_HOPS = 100
"""Elements of a chain that are read; no deployment has as many proxies."""

ADDRESS = re.compile(
    r"""
    (?P<quote> "? )
    (?:
        (?P<plain> [0-9.]{7,15} ) (?: : [0-9]{1,5} )?
      | \[ (?P<bracketed> [0-9A-Fa-f]{0,4} : [0-9A-Fa-f:.]{1,40} ) (?: % [\w.%~-]{1,32} )? \]
        (?: : [0-9]{1,5} )?
      | (?P<bare> [0-9A-Fa-f]{0,4} : [0-9A-Fa-f:.]{1,40} ) (?: % [\w.%~-]{1,32} )?
    )
    (?P=quote)
    """,
    re.ASCII | re.VERBOSE,
)
"""An address as proxies write it, with optional quotes, brackets, port and zone (RFC 4007)."""

# The well-known prefix of NAT64 translators (RFC 6052, section 2.1).
NAT64 = IPv6Network("64:ff9b::/96")


def client_address(peer: str, chain: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the client's address in canonical form (RFC 5952), at most 39 characters.

    `peer` is the socket's remote address, `chain` the values of the X-Forwarded-For fields in
    order, `trusted` the networks of the proxies. The client is the first untrusted address,
    starting with the peer and then from the right of the chain; if all are trusted, the leftmost.
    An element that is not an address ends the chain: the proxy that appended it is the client.

    Returns UNKNOWN for a peer without an IP address, which is never trusted, and at an empty
    element: granian replaces a whole field that has a non-ASCII byte by an empty one, including
    what a proxy has appended to it.
    """
    client = _parse(peer)
    if client is None:
        return UNKNOWN
    hops = islice(_from_the_right(chain), MAX_HOPS)
    while _is_in(client, trusted) and (element := next(hops, None)) is not None:
        if not element.strip(" \t"):
            return UNKNOWN
        if (address := _parse(element)) is None:
            break
        client = address
    return str(client)


def is_address(text: str) -> bool:
    """Return whether the text is an IP address; a Unix socket's peer has none."""
    return _parse(text) is not None


@lru_cache(CACHE_SIZE)
def network(address: str) -> str:
    """Return the network that counts as one client: an IPv4 address, or the /64 of an IPv6 address.

    A subscriber has at least a /64 (RFC 6177), and so could change addresses at will. Returns
    UNKNOWN for a text that is not an address.
    """
    host = _parse_host(address)
    if isinstance(host, IPv6Address):
        return _prefix(host, 64)
    return UNKNOWN if host is None else str(host)


@lru_cache(CACHE_SIZE)
def wider_network(address: str, length: int) -> str | None:
    """Return the network of an IPv6 address with this prefix length, or None for any other text."""
    host = _parse_host(address)
    return _prefix(host, length) if isinstance(host, IPv6Address) else None


def site(address: str) -> str:
    """Return the largest network of one client: the /48 of an IPv6 address (RFC 6177)."""
    return wider_network(address, 48) or network(address)


def _parse_host(address: str) -> Address | None:
    """Return the address, or the IPv4 address that an IPv6 address embeds."""
    parsed = _parse(address)
    return (_embedded(parsed) or parsed) if isinstance(parsed, IPv6Address) else parsed


def _prefix(address: IPv6Address, length: int) -> str:
    return str(IPv6Network((int(address), length), strict=False))


def _from_the_right(chain: Sequence[str]) -> Iterator[str]:
    for value in reversed(chain):
        yield from reversed(value.split(","))


@lru_cache(CACHE_SIZE)
def _parse(text: str) -> Address | None:
    """Return the address without port and zone, unmapped to IPv4, or None if there is none."""
    match = ADDRESS.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    try:
        address = ip_address(match["plain"] or match["bracketed"] or match["bare"])
    except ValueError:
        return None
    # A dual-stack socket maps IPv4 addresses to IPv6 (RFC 4291, section 2.5.5.2).
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the client's IPv4 address behind a NAT64 translator or a 6to4 relay."""
    # NAT64 puts the whole IPv4 Internet into one /64, which would be blocked as one client.
    if address in NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    # A 6to4 host has 65,536 networks of /64 (RFC 3056, section 2) and could be as many clients.
    return address.sixtofour
