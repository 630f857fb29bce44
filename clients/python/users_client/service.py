"""HTTP requests to the users service, limited in time and size, without redirects."""

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
"""Seconds to connect, and to wait for the next bytes."""

MAX_BODY_TIME = 5.0
"""Seconds for a whole body, even if bytes continue to arrive."""

MAX_RESPONSE_BYTES = 1_000_000
"""A full page of the feed has about 40,000 bytes."""

CONNECTIONS = 32
BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*", re.ASCII)
"""The syntax of a bearer token (RFC 6750, section 2.1)."""


@dataclass(frozen=True, slots=True)
class ServiceResponse:
    """A response of the users service. `body` is None for 304."""

    status: int
    body: object
    etag: str | None
    cache_control: str

    def member(self, name: str) -> object:
        """Return a member of the body. Raises ServiceUnavailable if it is no object."""
        if not isinstance(self.body, dict):
            raise ServiceUnavailable("the response is not an object")
        return self.body.get(name)


class Service:
    """The users service at a URL. Safe for threads, but not across a fork.

    Raises ValueError unless the URL is http or https, and has a host and at most a path.
    """

    def __init__(self, url: str) -> None:
        self._url = _validated(url)
        # No retry: a late response is of no use to the waiting caller. No redirect: it would send
        # the caller's token to another server.
        self._pool = urllib3.PoolManager(
            maxsize=CONNECTIONS,
            timeout=Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            retries=False,
        )

    def get(self, path: str, token: str | None = None, etag: str | None = None) -> ServiceResponse:
        """Send a GET request and return the response, whatever its status.

        Raises ServiceUnavailable if no response arrives in time, or if it is not JSON.
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

    def _get(self, path: str, headers: dict[str, str]) -> ServiceResponse:
        response = self._pool.request(
            "GET",
            self._url + path,
            headers=headers,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
        try:
            raw = _read_body(response)
        finally:
            # Closes the connection, unless the body was read completely: then the pool has it back.
            response.close()
        body = None if response.status == 304 else strict_json.loads(raw)
        cache_control = response.headers.get("Cache-Control", "")
        return ServiceResponse(response.status, body, response.headers.get("ETag"), cache_control)

    def close(self) -> None:
        """Close all idle connections."""
        self._pool.clear()


def _validated(url: str) -> str:
    """Return the URL without a trailing slash."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        raise ValueError("the service's URL is malformed") from None
    if parts.scheme not in {"http", "https"} or not parts.host:
        raise ValueError("the service's URL must begin with https:// or http:// and contain a host")
    if parts.auth or parts.query is not None or parts.fragment is not None:
        raise ValueError("the service's URL must not contain a user, query or fragment")
    return url.rstrip("/")


def _read_body(response: urllib3.BaseHTTPResponse) -> bytes:
    """Return the body. Raises ValueError for one that is too large or too slow."""
    ends_at = time.monotonic() + MAX_BODY_TIME
    body = bytearray()
    while chunk := response.read1(MAX_RESPONSE_BYTES):
        body += chunk
        if len(body) > MAX_RESPONSE_BYTES or time.monotonic() > ends_at:
            raise ValueError("the response is too large or too slow")
    return bytes(body)
