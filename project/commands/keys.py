"""Commands about what signs tokens, and about the tokens of other services."""

import secrets

from project.accounts import keyring, keys
from project.accounts.clients import COMMAND
from project.accounts.keys import KeyRow
from project.clock import utcnow
from project.commands.console import CommandFailed, moment
from project.security import hashing


def make_service_token() -> None:
    """Make a token by which another service may introspect; say what to set for it."""
    token = secrets.token_urlsafe(32)
    print(f"For the other service:  {token}")
    print(f"Add to SERVICE_TOKENS:  {hashing.digest(token)}")
    print("(or to METRICS_TOKEN, for whoever reads the metrics), and start the service anew.")


def list_keys() -> None:
    """List the keys that sign tokens, and what each does now."""
    if keyring.current().is_symmetric:
        print("TOKEN_ALGORITHM is HS256: the secret signs, and no other key does.")
    else:
        keyring.published()
    for key in keys.kept():
        print(f"{key.kid}  {key.algorithm:5}  {moment(key.created_at)}  {_state(key)}")


def rotate_keys() -> None:
    """Make the key that will sign next; it is published at once."""
    ring = keyring.current()
    if ring.is_symmetric:
        raise CommandFailed(
            "TOKEN_ALGORITHM is HS256, where the secret signs: set a new SECRET_KEY, and add the "
            "old one to SECRET_KEY_FALLBACKS."
        )
    ring.prepare()
    signs_at = utcnow() + keys.lead()
    made = ring.rotate(signs_at, COMMAND)
    if made is None:
        raise CommandFailed("another process has made a key at the same time; that one will do.")
    print(f"Made {made}, published now; it signs from {moment(signs_at)} on.")


def retire_key(kid: str) -> None:
    """Refuse every token that a key has signed, at once; for a key that has leaked."""
    try:
        keys.retire(kid)
    except keys.UnknownKey:
        raise CommandFailed(f"there is no key {kid}; list_keys lists them.") from None
    keyring.current().prepare()
    print(f"Retired {kid}: its tokens are refused from now on; clients refresh, or log in again.")


def _state(key: KeyRow) -> str:
    """Tell what a key does now."""
    now = utcnow()
    if key.retired_at is not None:
        return f"retired {moment(key.retired_at)}"
    if not keys.is_good(key, now):
        return "expired"
    ring = keyring.current()
    if not ring.is_symmetric and ring.signs_with(key.kid):
        return "signs"
    if key.signs_at > now:
        return f"published, signs from {moment(key.signs_at)} on"
    return f"verifies until {moment(key.expires_at)}" if key.expires_at else "verifies"
