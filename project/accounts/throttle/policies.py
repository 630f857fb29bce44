"""The limits: one row each, which says what is counted, by which setting, and what a success does.

A new limit is a new row, and its name in the group of those that an operation counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
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
    """Who makes an attempt, and at which account.

    Its methods return what a policy counts, as it is stored: networks as they are, all else as ids
    or digests; None where there is no such subject.
    """

    actor: Actor
    email_key: str | None = None
    is_known_network: bool = False
    """Whether the client's network has logged in to the account before."""
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
        """Return the /48 of an IPv6 client, the network of any other."""
        return self.actor.site

    def account(self) -> str | None:
        """Return the account, whether it exists or not."""
        return None if self.email_key is None else digest(self.email_key)

    def account_network(self) -> str | None:
        """Return the client's network at the account."""
        return self.account() and f"{self.account()} {self.actor.network}"

    def device_at_account(self) -> str | None:
        """Return the device that the client's token names."""
        device = self.device
        return None if device is None else f"{device.user_id} {device.id.hex()}"

    def user(self) -> str | None:
        """Return the user who is logged in."""
        return None if self.user_id is None else str(self.user_id)


class Success(StrEnum):
    """What a success does to what has been counted."""

    COUNTS = "counts"
    REFUNDED = "refunded"
    CLEARS = "clears"
    CLEARS_SELDOM = "clears seldom"


@dataclass(frozen=True, slots=True)
class Policy:
    """A limit: so many attempts of a subject in so long a time."""

    name: str
    """As it is in responses, metrics, the audit trail and the table."""
    subject: Callable[[Subjects], str | None]
    setting: str | Limit
    """The setting that holds the limit, or a limit that is fixed."""
    success: Success = Success.REFUNDED
    has_backoff: bool = True
    """Whether waits double beyond the limit; else the subject waits until the time is over."""
    exempts_known_networks: bool = False
    scale: float = 1.0
    """By what the number of attempts that is set is multiplied."""

    @property
    def limit(self) -> Limit:
        """The limit as it is set."""
        if isinstance(self.setting, Limit):
            return self.setting
        limit: Limit = current_app.config[self.setting]
        return Limit(int(limit.quota * self.scale), limit.window)

    @property
    def rule(self) -> Rule:
        """How the limit counts."""
        config = current_app.config
        waits = Backoff(config["THROTTLE_INITIAL_BACKOFF"], config["THROTTLE_MAX_BACKOFF"])
        return Rule(self.name, self.limit, waits if self.has_backoff else None)

    def subject_of(self, subjects: Subjects) -> str | None:
        """Return what is counted, as it is stored; None for an attempt that this does not count."""
        if self.exempts_known_networks and subjects.is_known_network:
            return None
        return self.subject(subjects)


NETWORK = Policy("network", Subjects.network, "THROTTLE_NETWORK")
NETWORK_56 = Policy("network-56", Subjects.network_56, "THROTTLE_NETWORK", scale=1.5)
LOGIN = Policy("login", Subjects.site, "THROTTLE_LOGINS", Success.COUNTS, has_backoff=False)
ACCOUNT_NETWORK = Policy(
    "account-network", Subjects.account_network, "THROTTLE_ACCOUNT_NETWORK", Success.CLEARS_SELDOM
)
ACCOUNT = Policy("account", Subjects.account, "THROTTLE_ACCOUNT", exempts_known_networks=True)
DEVICE = Policy("device", Subjects.device_at_account, "THROTTLE_DEVICE", Success.CLEARS)
DEVICE_LOGIN = Policy(
    "device-login", Subjects.account, "THROTTLE_LOGINS", Success.COUNTS, has_backoff=False
)
REGISTRATION = Policy("registration", Subjects.network, "THROTTLE_REGISTRATION", Success.COUNTS)
REGISTRATION_48 = Policy(
    "registration-48", Subjects.network_48, "THROTTLE_REGISTRATION", Success.COUNTS, scale=1.5
)
WRITE = Policy("write", Subjects.user, "THROTTLE_WRITES", Success.COUNTS, has_backoff=False)


# Hard bounds and no settings: a wait lasts for the rest of the window.
_bound = partial(Policy, success=Success.COUNTS, has_backoff=False)
MAIL_MINUTE = _bound("mail-minute", Subjects.account_network, Limit(1, timedelta(minutes=1)))
MAIL_HOUR = _bound("mail-hour", Subjects.account_network, Limit(5, timedelta(hours=1)))
MAIL_NETWORK = _bound("mail-network", Subjects.network, Limit(30, timedelta(minutes=15)))
MAIL_REGISTRATION = _bound("mail-registration", Subjects.network, Limit(30, timedelta(minutes=15)))
MAIL_DAY = _bound(
    "mail-day", Subjects.account, Limit(10, timedelta(days=1)), exempts_known_networks=True
)
CODE = Policy("code", Subjects.account, Limit(50, timedelta(days=1)), has_backoff=False)
CODE_STRANGER = Policy(
    "code-stranger",
    Subjects.account,
    Limit(20, timedelta(days=1)),
    has_backoff=False,
    exempts_known_networks=True,
)

Group = tuple[Policy, ...]
"""What an operation counts: under all of them or, where one limit rejects the attempt, none."""

BY_DEVICE: Group = (DEVICE, DEVICE_LOGIN)
BY_NETWORK: Group = (NETWORK, NETWORK_56, LOGIN, ACCOUNT_NETWORK, ACCOUNT)
REGISTERING: Group = (REGISTRATION, REGISTRATION_48)
WRITING: Group = (WRITE,)
MAIL_REQUEST: Group = (MAIL_MINUTE, MAIL_HOUR, MAIL_NETWORK)
MAIL_DELIVERY: Group = (MAIL_DAY,)
REGISTRATION_MAIL: Group = (MAIL_REGISTRATION,)
CODE_ENTRY: Group = (CODE, CODE_STRANGER)
POLICIES: Group = (
    *BY_DEVICE,
    *BY_NETWORK,
    *REGISTERING,
    *WRITING,
    *MAIL_REQUEST,
    *MAIL_DELIVERY,
    *REGISTRATION_MAIL,
    *CODE_ENTRY,
)

CLEARING = Rule("clearing", Limit(3, timedelta(days=1)), backoff=None)
"""How often a success may clear the failures of its network at an account."""
SCOPES = (*(policy.name for policy in POLICIES), CLEARING.scope)
"""Every value of the table's column."""


def digest(email_key: str) -> str:
    """Return what is stored of an address that was typed: it may be a password in the wrong field.

    A digest under a key of our own, since addresses can be guessed.
    """
    key = derivation.derived_key(current_app.config["SECRET_KEY"], SUBJECT_LABEL)
    return derivation.mac(key, email_key.encode("utf-8", "surrogatepass"))[:16].hex()
