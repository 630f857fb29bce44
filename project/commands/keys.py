"""Commands for signing keys, the shared secret and service tokens."""

import secrets
from typing import Annotated

from project.accounts import signing_keys
from project.accounts.actors import COMMAND
from project.accounts.signing_keys import KeyRow, source
from project.clock import utcnow
from project.commands.console import CommandFailed, Yes, confirm, database_name, format_time
from project.security import digests
from project.serving import shared_secret


def make_service_token() -> None:
    """Create a token for another service or for Prometheus; print it and its digest."""
    token = secrets.token_urlsafe(32)
    print(f"Token, for the other service:  {token}")
    print(f"Digest, for SERVICE_TOKENS:    {digests.sha256(token)}")
    print("For Prometheus, add the digest to METRICS_TOKEN instead. Then restart the service.")


def adopt_secret(yes: Yes = False) -> None:
    """Record the SECRET_KEY of this machine as the one that every server must have."""
    confirm(
        f"adopt_secret makes every server of {database_name()} with a different SECRET_KEY report "
        "that it is not ready.",
        yes,
    )
    shared_secret.adopt()
    print(f"Recorded the fingerprint of SECRET_KEY in {database_name()}.")


def list_keys() -> None:
    """List the signing keys with their state."""
    known, signer = signing_keys.list_unexpired(), source.current().signer_id()
    if source.current().is_symmetric:
        print("TOKEN_ALGORITHM is HS256: tokens are signed with SECRET_KEY.")
    elif signer is None:
        print("There is no active signing key: the next login creates one.")
    for key in known:
        state = "signs" if key.kid == signer else _state(key)
        print(f"{key.kid}  {key.algorithm:5}  {format_time(key.created_at)}  {state}")


def rotate_keys() -> None:
    """Create the next signing key and publish it at once."""
    ring = source.current()
    if ring.is_symmetric:
        raise CommandFailed(
            "TOKEN_ALGORITHM is HS256: tokens are signed with SECRET_KEY. Set a new SECRET_KEY, "
            "and add the old one to SECRET_KEY_FALLBACKS."
        )
    ring.load_or_rotate()
    signs_at = utcnow() + signing_keys.publication_lead()
    made = ring.rotate(signs_at, COMMAND)
    if made is None:
        raise CommandFailed("another process has just created a key; there is no need for another.")
    print(
        f"Created and published {made} in {database_name()}; it signs tokens from "
        f"{format_time(signs_at)}."
    )


def retire_key(kid: Annotated[str, "The key's id, as list_keys prints it."]) -> None:
    """Retire a leaked signing key: its tokens are rejected at once."""
    try:
        signing_keys.retire(kid)
    except signing_keys.UnknownKey:
        raise CommandFailed(f"there is no key {kid}; list_keys lists them.") from None
    source.current().load_or_rotate()
    print(
        f"Retired {kid} in {database_name()}: its tokens are rejected from now on, and their users "
        "have to log in again."
    )


def _state(key: KeyRow) -> str:
    """Return the state of a key that does not sign."""
    now = utcnow()
    if key.retired_at is not None:
        return f"retired {format_time(key.retired_at)}"
    if not signing_keys.is_valid(key, now):
        return "expired"
    if key.signs_at > now:
        return f"published, signs from {format_time(key.signs_at)}"
    return f"verifies until {format_time(key.expires_at)}" if key.expires_at else "verifies"
