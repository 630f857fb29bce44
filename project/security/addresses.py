"""Where a request comes from when it comes by proxies, and which addresses are counted together.

Each proxy appends the address that called it to X-Forwarded-For. Whatever stands to the left of
the first address that is not a proxy of ours may be invented, so the chain is read from the right.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from itertools import islice

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
"""Stands for every address that cannot be told, like that of a Unix socket; one shared client."""

MAX_REMEMBERED = 4096
"""Spellings of addresses that are remembered: a client comes more than once, and reading costs."""

MAX_HOPS = 100
"""How many elements of a chain are read: no product has so many proxies."""

SPELLING = re.compile(
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
"""An address as proxies write it: perhaps in quotes, with brackets, a port or a zone (RFC 4007)."""

# The translators' well-known prefix (RFC 6052, section 2.1).
TRANSLATED = IPv6Network("64:ff9b::/96")


def client_address(peer: str, chain: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the client's address in its canonical text (RFC 5952), at most 39 characters.

    `peer` is the address at the other end of the socket, `chain` holds the values of the
    X-Forwarded-For fields in the order of their arrival, `trusted` the networks of the proxies.
    It is the first address from the right, the peer's before all, that is not trusted; the
    leftmost where all are. What is no address ends the chain: the proxy that told it is the
    client. An element that is empty hides the client, so that is UNKNOWN: granian passes a field
    with a byte outside of ASCII on as an empty one, with all that a proxy has appended to it. A
    peer without an address is never trusted; its client is UNKNOWN.
    """
    client = _parse(peer)
    if client is None:
        return UNKNOWN
    hops = islice(_from_the_right(chain), MAX_HOPS)
    while _is_in(client, trusted) and (element := next(hops, None)) is not None:
        if not element.strip(" \t"):
            return UNKNOWN
        if (told := _parse(element)) is None:
            break
        client = told
    return str(client)


def is_address(text: str) -> bool:
    """Tell whether this is an IP address; a Unix socket's peer has none."""
    return _parse(text) is not None


@lru_cache(MAX_REMEMBERED)
def network(address: str) -> str:
    """Return what this address is counted as: an IPv4 address by itself, of IPv6 its /64.

    A subscriber has a /64 at the least (RFC 6177) and could else be another client at will. What
    is no address is UNKNOWN.
    """
    counted = _counted(address)
    if isinstance(counted, IPv6Address):
        return _prefix(counted, 64)
    return UNKNOWN if counted is None else str(counted)


@lru_cache(MAX_REMEMBERED)
def wider_network(address: str, length: int) -> str | None:
    """Return the network of this prefix length that an IPv6 address is in; None for any other."""
    counted = _counted(address)
    return _prefix(counted, length) if isinstance(counted, IPv6Address) else None


def site(address: str) -> str:
    """Return the largest network that one client may have: of IPv6 a /48 (RFC 6177)."""
    return wider_network(address, 48) or network(address)


def _counted(address: str) -> Address | None:
    parsed = _parse(address)
    return (_embedded(parsed) or parsed) if isinstance(parsed, IPv6Address) else parsed


def _prefix(address: IPv6Address, length: int) -> str:
    return str(IPv6Network((int(address), length), strict=False))


def _from_the_right(chain: Sequence[str]) -> Iterator[str]:
    for value in reversed(chain):
        yield from reversed(value.split(","))


@lru_cache(MAX_REMEMBERED)
def _parse(text: str) -> Address | None:
    """Return the address without port and zone, IPv4 where it is mapped; None where it is none."""
    form = SPELLING.fullmatch(text.strip(" \t"))
    if form is None:
        return None
    try:
        address = ip_address(form["plain"] or form["bracketed"] or form["bare"])
    except ValueError:
        return None
    # A socket that listens on both shows IPv4 so (RFC 4291, section 2.5.5.2).
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


def _embedded(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address of a client that a translator or a relay speaks for."""
    # Behind a translator the whole IPv4 Internet is in one /64, and would be locked out together.
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    # One host of 6to4 has 65,536 networks of /64 (RFC 3056, section 2): as many clients.
    return address.sixtofour
