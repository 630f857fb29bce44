"""The users service over HTTP: bounded in time and size, and never led elsewhere."""

import re
import time
from dataclasses import dataclass

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Timeout, parse_url

from users_client import strict_json
from users_client.errors import ServiceUnavailable

CONNECT_TIMEOUT = 1.0
READ_TIMEOUT = 2.0
"""Seconds for a connection, and for every silence after that."""

LONGEST_WAIT = 5.0
"""Seconds for a whole body, however little of it comes at a time."""

LARGEST_ANSWER = 1_000_000
"""Bytes; a full page of the feed has about 40,000."""

CONNECTIONS = 32
BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
"""What a bearer token is made of (RFC 6750, section 2.1)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said. `body` is None where it is 304."""

    status: int
    body: object
    etag: str | None
    cache_control: str

    def member(self, name: str) -> object:
        """Return a member of the body. Raises ServiceUnavailable where the body is no object."""
        if not isinstance(self.body, dict):
            raise ServiceUnavailable("the answer is not an object")
        return self.body.get(name)


class Service:
    """The users service at a URL; for threads, but not across a fork.

    Raises ValueError for what is not the http or https URL of a host, with a path at most.
    """

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        # No retry: an answer that is late is of no use to whoever waits for it. No redirect: it
        # would take the caller's token to whoever is named.
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            timeout=Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            retries=False,
        )

    def get(self, path: str, token: str | None = None, etag: str | None = None) -> Answer:
        """Return the answer to a GET, whatever its status.

        Raises ServiceUnavailable where there is none in time, or none that is JSON.
        """
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        if etag is not None:
            headers["If-None-Match"] = etag
        try:
            return self._get(path, headers)
        except (HTTPError, OSError, ValueError) as error:
            raise ServiceUnavailable(f"{path}: {type(error).__name__}") from error

    def _get(self, path: str, headers: dict[str, str]) -> Answer:
        response = self._pool.request(
            "GET",
            self._url + path,
            headers=headers,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            raw = _bounded(response)
        finally:
            # A connection that was read to its end has gone back by now; any other is closed.
            response.close()
        body = None if response.status == 304 else strict_json.loads(raw)
        cache_control = response.headers.get("Cache-Control", "")
        return Answer(response.status, body, response.headers.get("ETag"), cache_control)

    def close(self) -> None:
        """Close every connection that is not in use."""
        self._pool.clear()


def _checked(url: str) -> str:
    """Return the URL without a slash at its end."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise ValueError("the service's URL cannot be read") from None
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise ValueError("the service's URL must begin with https:// or http:// and name a host")
    if parts.auth or parts.query is not None or parts.fragment is not None:
        raise ValueError("the service's URL must hold no user, query or fragment")
    return url.rstrip("/")


def _bounded(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the body. Raises ValueError for one that is too large or too slow."""
    ends_at = time.monotonic() + LONGEST_WAIT
    body = bytearray()
    while chunk := response.read1(LARGEST_ANSWER):
        body += chunk
        if len(body) > LARGEST_ANSWER or time.monotonic() > ends_at:
            raise ValueError("the answer is too large or too slow")
    return bytes(body)
