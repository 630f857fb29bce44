"""Login with a code or a link from a mail instead of a password."""

from dataclasses import asdict

from project.accounts import devices, email, one_time_tokens, sessions, throttle
from project.accounts.actors import Actor
from project.accounts.audit import Event
from project.accounts.email import Requested, claim
from project.accounts.email.disown import NO_PASSWORD
from project.accounts.one_time_tokens import Token
from project.accounts.sessions.tokens import LoginTokens
from project.accounts.signing_keys import source
from project.extensions import transaction

PURPOSE = "email_login"


def request(address: str, actor: Actor) -> Requested:
    """Queue a mail to log in with an address. Raises TooManyAttempts."""
    return email.request(PURPOSE, address, actor)


def confirm_by_code(request_id: str, code: str, actor: Actor) -> LoginTokens:
    """Log in with the request id and the code in the mail. Raises CodeInvalid."""
    return _confirm(one_time_tokens.by_request(request_id, code, PURPOSE, actor), actor)


def confirm_by_link(request_id: str, link_token: str, actor: Actor) -> LoginTokens:
    """Log in with the request id and the link in the mail. Raises CodeInvalid.

    The link alone is not sufficient: a forwarded mail logs nobody in, and an attacker cannot log a
    victim in to the attacker's account.
    """
    token = one_time_tokens.by_request_and_link(request_id, link_token, PURPOSE)
    return _confirm(token, actor)


def _confirm(token: Token, actor: Actor) -> LoginTokens:
    """Start a session; an unverified account is claimed, and its password removed."""
    key = source.current().signing_key()
    with transaction():
        account = claim.lock_owner(token, actor)
        one_time_tokens.consume(token)
        password, last_login_at = account.password, account.last_login_at
        is_claim = account.email_verified_at is None
        if is_claim:
            password, last_login_at = NO_PASSWORD, None
            sessions.end_for_password(account.id, actor)
            claim.claim(account, password, actor)
        # The mailbox is one factor. If accounts get a second one, check it here.
        event = Event.LOGIN_SUCCEEDED
        issued = sessions.start(account.id, actor, event, key, last_login_at, method=PURPOSE)
        email.notify_of_login(account, actor)
    if is_claim:
        throttle.clear(account.email, actor)
    return LoginTokens(**asdict(issued), device_token=devices.issue(account.id, password))
