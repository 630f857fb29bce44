"""How a setting is read from its text; what cannot be read raises ValueError with the remedy."""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from project.security.rate_limit import Limit

MAX_ISSUER = 200
"""Characters; every access token holds them."""


MAX_DURATION = timedelta(days=36500)


ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@*\s]+")


ISSUER = re.compile(r"https://[a-zA-Z0-9.-]+(:[0-9]{1,5})?(/[a-zA-Z0-9._~/-]*)?", re.ASCII)


MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 as an IPv6 socket shows it (RFC 4291, section 2.5.5.2)."""


def string(value: str) -> str:
    """Read a text as it stands."""
    return value


def boolean(value: str) -> bool:
    """Read a yes or a no."""
    values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    try:
        return values[value.lower()]
    except KeyError:
        raise ValueError("must be true or false") from None


def choice(*choices: str) -> Callable[[str], str]:
    """Return a reader of one of these words, written in any case."""

    def read(value: str) -> str:
        for choice in choices:
            if choice.lower() == value.lower():
                return choice
        raise ValueError(f"must be one of {', '.join(choices)}")

    return read


def integer(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers within these bounds."""

    def read(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not least <= int(value) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(value)

    return read


def duration(value: str) -> timedelta:
    """Read a whole number of days, hours, minutes or seconds."""
    form = re.fullmatch(r"([1-9][0-9]{0,7})([dhms])", value, re.ASCII)
    if form is None:
        raise ValueError("must be a duration like 90d, 12h, 30m or 45s")
    units = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
    return min(timedelta(**{units[form[2]]: int(form[1])}), MAX_DURATION)


def limit(value: str) -> Limit:
    """Read a limit like `5/15m`: the attempts, and the time in which they are counted."""
    quota, _, window = value.partition("/")
    try:
        return Limit(integer(1, 1_000_000)(quota), duration(window))
    except ValueError:
        raise ValueError("must be a number of attempts and a time, like 5/15m") from None


def origins(value: str) -> list[str]:
    """Read a list of origins (RFC 6454, section 6.2), separated by commas; `*` stands for all."""
    listed = [origin.strip() for origin in value.split(",") if origin.strip()]
    if not listed or not all(origin == "*" or ORIGIN.fullmatch(origin) for origin in listed):
        raise ValueError("must list origins like https://app.example.com, without a path, or be *")
    return listed


def issuer(value: str) -> str:
    """Read the URL of an issuer (RFC 8414, section 2): https, no user, query or fragment."""
    if not ISSUER.fullmatch(value) or len(value) > MAX_ISSUER:
        raise ValueError("must be a URL like https://users.example.com, without user or query")
    return value


def secrets(value: str) -> list[str]:
    """Read a list of secrets, separated by commas."""
    return [secret.strip() for secret in value.split(",") if secret.strip()]


def digests(value: str) -> list[str]:
    """Read a list of SHA-256 digests, separated by commas."""
    listed = [digest.strip().lower() for digest in value.split(",") if digest.strip()]
    if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in listed):
        raise ValueError("must list SHA-256 digests, as make_service_token prints them")
    return listed


def networks(value: str) -> list[IPv4Network | IPv6Network]:
    """Read a list of networks and single addresses, separated by commas."""
    return [_network(listed.strip()) for listed in value.split(",") if listed.strip()]


def _network(written: str) -> IPv4Network | IPv6Network:
    try:
        address = ip_address(written.partition("/")[0])
        network = ip_network(written, strict=False)
    except ValueError:
        raise ValueError(
            "must list networks like 10.0.0.0/8, or single addresses, separated by commas: "
            f"{written!a} is neither"
        ) from None
    folded = _fold(network)
    if not folded.prefixlen:
        raise ValueError(
            f"names every address by {written}, so that any client could choose its own: list the "
            "networks of your proxies alone"
        )
    if address != network.network_address:
        raise ValueError(
            f"names {written}, which is an address inside of a network: write {network} for the "
            f"network, or {address} for the address"
        )
    return folded


def _fold(network: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    """Return the IPv4 network that is meant where it is written as one of IPv6."""
    if isinstance(network, IPv4Network) or not network.subnet_of(MAPPED):
        return network
    return IPv4Network((int(network.network_address) & 0xFFFFFFFF, network.prefixlen - 96))
