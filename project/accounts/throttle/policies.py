"""The policies: for each rate limit its subject, its setting and the effect of a success.

To add a limit, define a `Policy` and add it to the group of an operation.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from functools import partial

from flask import current_app

from project.accounts.actors import Actor
from project.accounts.throttle.statements import Backoff, Rule
from project.security import addresses, derivation
from project.security.device_tokens import Device
from project.security.rate_limit import Limit

SUBJECT_LABEL = "users throttle subject"


@dataclass(frozen=True, slots=True)
class Subjects:
    """The actor and the account of an attempt.

    Each method returns one subject in its stored form, or None if the attempt has no such subject.
    Networks are stored in plain text, all other subjects as ids or digests.
    """

    actor: Actor
    email_key: str | None = None
    is_known_network: bool = False
    """Whether a login to the account from the client's network has succeeded before."""
    device: Device | None = None
    user_id: int | None = None

    def network(self) -> str:
        """Return the client's network."""
        return self.actor.network

    def network_56(self) -> str | None:
        """Return the /56 of an IPv6 client."""
        return addresses.wider_network(self.actor.address, 56)

    def network_48(self) -> str | None:
        """Return the /48 of an IPv6 client."""
        return addresses.wider_network(self.actor.address, 48)

    def site(self) -> str:
        """Return the /48 of an IPv6 client, or the network of an IPv4 client."""
        return self.actor.site

    def account(self) -> str | None:
        """Return the digest of the e-mail address; it need not belong to an account."""
        return None if self.email_key is None else digest(self.email_key)

    def account_network(self) -> str | None:
        """Return the account combined with the client's network."""
        return self.account() and f"{self.account()} {self.actor.network}"

    def device_at_account(self) -> str | None:
        """Return the user id and the device id of the client's device token."""
        device = self.device
        return None if device is None else f"{device.user_id} {device.id.hex()}"

    def user(self) -> str | None:
        """Return the id of the authenticated user."""
        return None if self.user_id is None else str(self.user_id)


class OnSuccess(StrEnum):
    """The effect of a successful attempt on its counter."""

    KEEP = "keep"
    REFUND = "refund"
    CLEAR_WITHIN_LIMIT = "clear within limit"
    """Clear as often as `CLEARING` allows; refund otherwise."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A rate limit on the attempts of one kind of subject."""

    name: str
    """The name in responses, metrics, audit events and the column `scope`."""
    subject: Callable[[Subjects], str | None]
    setting: str | Limit
    """The setting that holds the limit, or a fixed limit."""
    on_success: OnSuccess = OnSuccess.REFUND
    has_backoff: bool = True
    """Whether a block is a backoff; otherwise it lasts until the window ends."""
    exempts_known_networks: bool = False
    scale: float = 1.0
    """Factor applied to the quota of the setting."""
    is_counted: bool = True
    """Whether the attempt is counted; otherwise it is only rejected while a block lasts."""

    @property
    def limit(self) -> Limit:
        """The fixed limit, or that of the setting, scaled."""
        if isinstance(self.setting, Limit):
            return self.setting
        limit: Limit = current_app.config[self.setting]
        return Limit(int(limit.quota * self.scale), limit.window)

    @property
    def rule(self) -> Rule:
        """The limit and the backoff, in the form that `statements` needs."""
        config = current_app.config
        backoff = Backoff(config["THROTTLE_INITIAL_BACKOFF"], config["THROTTLE_MAX_BACKOFF"])
        return Rule(self.name, self.limit, backoff if self.has_backoff else None, self.is_counted)

    def subject_of(self, subjects: Subjects) -> str | None:
        """Return the stored subject of an attempt; None if the policy does not apply to it."""
        if self.exempts_known_networks and subjects.is_known_network:
            return None
        return self.subject(subjects)


NETWORK = Policy("network", Subjects.network, "THROTTLE_NETWORK")
NETWORK_56 = Policy("network-56", Subjects.network_56, "THROTTLE_NETWORK", scale=1.5)
LOGIN = Policy("login", Subjects.site, "THROTTLE_LOGINS", OnSuccess.KEEP, has_backoff=False)
ACCOUNT_NETWORK = Policy(
    "account-network",
    Subjects.account_network,
    "THROTTLE_ACCOUNT_NETWORK",
    OnSuccess.CLEAR_WITHIN_LIMIT,
)
ACCOUNT = Policy("account", Subjects.account, "THROTTLE_ACCOUNT", exempts_known_networks=True)
DEVICE = Policy(
    "device", Subjects.device_at_account, "THROTTLE_DEVICE", OnSuccess.CLEAR_WITHIN_LIMIT
)
DEVICE_LOGIN = Policy(
    "device-login", Subjects.account, "THROTTLE_LOGINS", OnSuccess.KEEP, has_backoff=False
)
REGISTRATION = Policy("registration", Subjects.network, "THROTTLE_REGISTRATION", OnSuccess.KEEP)
REGISTRATION_48 = Policy(
    "registration-48", Subjects.network_48, "THROTTLE_REGISTRATION", OnSuccess.KEEP, scale=1.5
)
WRITE = Policy("write", Subjects.user, "THROTTLE_WRITES", OnSuccess.KEEP, has_backoff=False)


# Fixed limits: a block lasts until the window ends.
_bound = partial(Policy, on_success=OnSuccess.KEEP, has_backoff=False)
MAIL_MINUTE = _bound("mail-minute", Subjects.account_network, Limit(1, timedelta(minutes=1)))
MAIL_HOUR = _bound("mail-hour", Subjects.account_network, Limit(5, timedelta(hours=1)))
MAIL_NETWORK = _bound("mail-network", Subjects.network, Limit(30, timedelta(minutes=15)))
MAIL_REGISTRATION = _bound("mail-registration", Subjects.network, Limit(30, timedelta(minutes=15)))
MAIL_DAY = _bound(
    "mail-day", Subjects.account, Limit(10, timedelta(days=1)), exempts_known_networks=True
)
MAIL_ATTEMPT = _bound("mail-attempt", Subjects.account, Limit(1, timedelta(days=1)))
MAIL_NOTICE = _bound("mail-notice", Subjects.account, Limit(10, timedelta(days=1)))
USERNAME = _bound("username", Subjects.user, Limit(10, timedelta(days=1)))
EXPORT = _bound("export", Subjects.user, Limit(10, timedelta(hours=1)))
# Fifty identical registrations at once are one success and 49 rejections.
REGISTRATION_TAKEN = _bound("registration-taken", Subjects.network, Limit(50, timedelta(hours=1)))
CODE = Policy("code", Subjects.account, Limit(50, timedelta(days=1)), has_backoff=False)
CODE_STRANGER = Policy(
    "code-stranger",
    Subjects.account,
    Limit(20, timedelta(days=1)),
    has_backoff=False,
    exempts_known_networks=True,
)

Group = tuple[Policy, ...]
"""Policies that count an attempt together: all of them, or none if one rejects it."""

LOGIN_BY_DEVICE: Group = (DEVICE, DEVICE_LOGIN)
LOGIN_BY_NETWORK: Group = (NETWORK, NETWORK_56, LOGIN, ACCOUNT_NETWORK, ACCOUNT)
REGISTERING: Group = (REGISTRATION, REGISTRATION_48, replace(REGISTRATION_TAKEN, is_counted=False))
REGISTERING_TAKEN: Group = (REGISTRATION_TAKEN,)
WRITING: Group = (WRITE,)
MAIL_REQUEST: Group = (MAIL_MINUTE, MAIL_HOUR, MAIL_NETWORK)
MAIL_DELIVERY: Group = (MAIL_DAY,)
REGISTRATION_MAIL: Group = (MAIL_REGISTRATION,)
ATTEMPT_NOTICE: Group = (MAIL_ATTEMPT,)
CODE_ENTRY: Group = (CODE, CODE_STRANGER)
RENAMING: Group = (USERNAME, WRITE)
EXPORTING: Group = (EXPORT,)
POLICIES: Group = (
    *LOGIN_BY_DEVICE,
    *LOGIN_BY_NETWORK,
    *REGISTERING,
    *WRITING,
    *MAIL_REQUEST,
    *MAIL_DELIVERY,
    *REGISTRATION_MAIL,
    *ATTEMPT_NOTICE,
    MAIL_NOTICE,
    *CODE_ENTRY,
    USERNAME,
    *EXPORTING,
)

KEPT_AT_ERASURE = [each.name for each in (*MAIL_REQUEST, *MAIL_DELIVERY, *ATTEMPT_NOTICE)]
"""Limits of mail to an address. If one ended, a stranger would learn that an account was erased."""

CLEARING = Rule("clearing", Limit(3, timedelta(days=1)), backoff=None)
"""Number of times that successful logins may clear one `device` or `account-network` counter."""
SCOPES = (*(policy.name for policy in POLICIES), CLEARING.scope)
"""Every value of the column `scope`."""


def digest(email_key: str) -> str:
    """Return a keyed digest of an e-mail address.

    The address itself is not stored, since a user may have typed a password instead. An
    attacker who reads the table cannot guess it without the key.
    """
    key = derivation.derive_key(current_app.config["SECRET_KEY"], SUBJECT_LABEL)
    return derivation.mac(key, email_key.encode("utf-8", "surrogatepass"))[:16].hex()
