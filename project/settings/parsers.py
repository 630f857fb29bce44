"""Parsers of settings; each raises ValueError with the remedy for a string it rejects."""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from project.security.rate_limit import Limit

MAX_DURATION = timedelta(days=36500)
MAX_ISSUER_LENGTH = 200
"""Characters; every access token contains the issuer."""
BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@*\s]+")
ISSUER = re.compile(r"https://[a-zA-Z0-9.-]+(:[0-9]{1,5})?(/[a-zA-Z0-9._~/-]*)?", re.ASCII)
IPV4_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4-mapped IPv6 addresses (RFC 4291, section 2.5.5.2)."""


def string(value: str) -> str:
    """Return the string unchanged."""
    return value


def boolean(value: str) -> bool:
    """Parse a boolean."""
    try:
        return BOOLEANS[value.lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def choice(*choices: str) -> Callable[[str], str]:
    """Return a parser that accepts one of these words in any case."""

    def parse(value: str) -> str:
        for word in choices:
            if word.lower() == value.lower():
                return word
        raise ValueError(f"must be one of {', '.join(choices)}")

    return parse


def integer(minimum: int, maximum: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `minimum` to `maximum`."""

    def parse(value: str) -> int:
        is_number = re.fullmatch(r"[0-9]{1,9}", value, re.ASCII)
        if not is_number or not minimum <= int(value) <= maximum:
            raise ValueError(f"must be a whole number from {minimum} to {maximum}")
        return int(value)

    return parse


def duration(value: str) -> timedelta:
    """Parse a duration in days, hours, minutes or seconds, like `12h`."""
    match = re.fullmatch(r"([1-9][0-9]{0,7})([dhms])", value, re.ASCII)
    if match is None:
        raise ValueError("must be a duration like 90d, 12h, 30m or 45s")
    units = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
    return min(timedelta(**{units[match[2]]: int(match[1])}), MAX_DURATION)


def duration_or_zero(value: str) -> timedelta:
    """Parse a duration that may be `0`."""
    try:
        return timedelta(0) if value == "0" else duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 0") from None


def limit(value: str) -> Limit:
    """Parse a rate limit like `5/15m`: attempts per window."""
    quota, _, window = value.partition("/")
    try:
        return Limit(integer(1, 1_000_000)(quota), duration(window))
    except ValueError:
        raise ValueError("must be a number of attempts and a window of time, like 5/15m") from None


def origins(value: str) -> list[str]:
    """Parse origins separated by commas (RFC 6454, section 6.2); `*` allows all."""
    listed = _split(value)
    if not listed or not all(origin == "*" or ORIGIN.fullmatch(origin) for origin in listed):
        raise ValueError("must list origins like https://app.example.com, without a path, or be *")
    return listed


def issuer(value: str) -> str:
    """Parse the URL of an issuer (RFC 8414, section 2): https, no user, query or fragment."""
    if not ISSUER.fullmatch(value) or len(value) > MAX_ISSUER_LENGTH:
        raise ValueError(
            "must be a URL like https://users.example.com, without user, query or fragment, of at "
            f"most {MAX_ISSUER_LENGTH} characters"
        )
    return value


def secrets(value: str) -> list[str]:
    """Parse secrets separated by commas."""
    return _split(value)


def digests(value: str) -> list[str]:
    """Parse SHA-256 digests separated by commas."""
    listed = [digest.lower() for digest in _split(value)]
    if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in listed):
        raise ValueError("must list SHA-256 digests, as make_service_token prints them")
    return listed


def networks(value: str) -> list[IPv4Network | IPv6Network]:
    """Parse networks and addresses separated by commas."""
    return [_network(listed) for listed in _split(value)]


def _split(value: str) -> list[str]:
    """Return the parts between commas without surrounding whitespace; empty ones are left out."""
    return [part.strip() for part in value.split(",") if part.strip()]


def _network(value: str) -> IPv4Network | IPv6Network:
    try:
        address = ip_address(value.partition("/")[0])
        network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError(
            "must list networks like 10.0.0.0/8, or single addresses, separated by commas: "
            f"{value!a} is neither"
        ) from None
    unmapped = _unmap(network)
    if not unmapped.prefixlen:
        raise ValueError(
            f"contains {value}, which matches every address, so any client could forge its own: "
            "list only the networks of your proxies"
        )
    if address != network.network_address:
        raise ValueError(
            f"contains {value}, an address inside a network: write {network} for the network, or "
            f"{address} for the address"
        )
    return unmapped


def _unmap(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return the IPv4 network of an IPv4-mapped IPv6 network, and any other network unchanged."""
    if isinstance(network, IPv4Network) or not network.subnet_of(IPV4_MAPPED):
        return network
    return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
