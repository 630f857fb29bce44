"""Commands about signing keys, and about the tokens of other services."""

import secrets
from typing import Annotated

from project.accounts import signing_keys
from project.accounts.actors import COMMAND
from project.accounts.signing_keys import KeyRow, source
from project.clock import utcnow
from project.commands.console import CommandFailed, Yes, confirm, database_name, moment
from project.security import digests
from project.serving import shared_secret


def make_service_token() -> None:
    """Create a token for another service, or for Prometheus, and print the setting for it."""
    token = secrets.token_urlsafe(32)
    print(f"For the other service:  {token}")
    print(f"Add to SERVICE_TOKENS:  {digests.sha256(token)}")
    print("(or to METRICS_TOKEN, for Prometheus), then restart the service.")


def adopt_secret(yes: Yes = False) -> None:
    """Record this SECRET_KEY as the one that every server must have."""
    confirm(
        f"adopt_secret takes every server of {database_name()} out of service that has another "
        "SECRET_KEY.",
        yes,
    )
    shared_secret.adopt()
    print(f"Recorded the fingerprint of SECRET_KEY in {database_name()}.")


def list_keys() -> None:
    """List the signing keys, and what each does now."""
    known, signer = signing_keys.list_unexpired(), source.current().signer_id()
    if source.current().is_symmetric:
        print("TOKEN_ALGORITHM is HS256: tokens are signed with SECRET_KEY.")
    elif signer is None:
        print("No key signs now: the next login creates one.")
    for key in known:
        state = "signs" if key.kid == signer else _state(key)
        print(f"{key.kid}  {key.algorithm:5}  {moment(key.created_at)}  {state}")


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
        raise CommandFailed("another process has created a key at the same time; that one will do.")
    print(
        f"Created {made} in {database_name()}, published now; it signs from {moment(signs_at)} on."
    )


def retire_key(kid: Annotated[str, "The key's id, as list_keys prints it."]) -> None:
    """Reject every token that a leaked key has signed, at once."""
    try:
        signing_keys.retire(kid)
    except signing_keys.UnknownKey:
        raise CommandFailed(f"there is no key {kid}; list_keys lists them.") from None
    source.current().load_or_rotate()
    print(
        f"Retired {kid} in {database_name()}: its tokens are rejected from now on, and their users "
        "log in again."
    )


def _state(key: KeyRow) -> str:
    """Return what a key does now that does not sign."""
    now = utcnow()
    if key.retired_at is not None:
        return f"retired {moment(key.retired_at)}"
    if not signing_keys.is_valid(key, now):
        return "expired"
    if key.signs_at > now:
        return f"published, signs from {moment(key.signs_at)} on"
    return f"verifies until {moment(key.expires_at)}" if key.expires_at else "verifies"
