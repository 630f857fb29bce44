"""The rate limits: for each the subject, the setting, and the effect of a success.

To add a limit, define a `Policy` and add it to the group of an operation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

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

    Each method returns one subject as it is stored, or None if there is none. Networks are stored
    in plain text, everything else as an id or a digest.
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
        """Return the digest of the account's e-mail address, whether or not the account exists."""
        return None if self.email_key is None else digest(self.email_key)

    def account_network(self) -> str | None:
        """Return the account combined with the client's network."""
        return self.account() and f"{self.account()} {self.actor.network}"

    def device_at_account(self) -> str | None:
        """Return the device of the client's device token."""
        device = self.device
        return None if device is None else f"{device.user_id} {device.id.hex()}"

    def user(self) -> str | None:
        """Return the id of the authenticated user."""
        return None if self.user_id is None else str(self.user_id)


class Success(StrEnum):
    """What a success does to the counter."""

    COUNTS = "counts"
    REFUNDED = "refunded"
    CLEARS_SELDOM = "clears seldom"


@dataclass(frozen=True, slots=True)
class Policy:
    """A rate limit on the attempts of one kind of subject."""

    name: str
    """The name in responses, metrics, the audit trail and the table."""
    subject: Callable[[Subjects], str | None]
    setting: str
    success: Success = Success.REFUNDED
    has_backoff: bool = True
    """Whether waits double beyond the limit; otherwise the subject waits until the window ends."""
    exempts_known_networks: bool = False
    scale: float = 1.0
    """Factor applied to the quota of the setting."""

    @property
    def limit(self) -> Limit:
        """The limit from the settings, scaled."""
        limit: Limit = current_app.config[self.setting]
        return Limit(int(limit.quota * self.scale), limit.window)

    @property
    def rule(self) -> Rule:
        """The rule for building the policy's statements."""
        config = current_app.config
        waits = Backoff(config["THROTTLE_INITIAL_BACKOFF"], config["THROTTLE_MAX_BACKOFF"])
        return Rule(self.name, self.limit, waits if self.has_backoff else None)

    def subject_of(self, subjects: Subjects) -> str | None:
        """Return the stored subject of an attempt; None if the policy does not apply to it."""
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
DEVICE = Policy("device", Subjects.device_at_account, "THROTTLE_DEVICE", Success.CLEARS_SELDOM)
DEVICE_LOGIN = Policy(
    "device-login", Subjects.account, "THROTTLE_LOGINS", Success.COUNTS, has_backoff=False
)
REGISTRATION = Policy("registration", Subjects.network, "THROTTLE_REGISTRATION", Success.COUNTS)
REGISTRATION_48 = Policy(
    "registration-48", Subjects.network_48, "THROTTLE_REGISTRATION", Success.COUNTS, scale=1.5
)
WRITE = Policy("write", Subjects.user, "THROTTLE_WRITES", Success.COUNTS, has_backoff=False)

Group = tuple[Policy, ...]
"""Policies that count an attempt together: under all, or under none if one rejects it."""

BY_DEVICE: Group = (DEVICE, DEVICE_LOGIN)
BY_NETWORK: Group = (NETWORK, NETWORK_56, LOGIN, ACCOUNT_NETWORK, ACCOUNT)
REGISTERING: Group = (REGISTRATION, REGISTRATION_48)
WRITING: Group = (WRITE,)
POLICIES: Group = (*BY_DEVICE, *BY_NETWORK, *REGISTERING, *WRITING)

CLEARING = Rule("clearing", Limit(3, timedelta(days=1)), backoff=None)
"""How often successes may clear the failures of one device, or of one network at one account."""
SCOPES = (*(policy.name for policy in POLICIES), CLEARING.scope)
"""Every value of the column `scope`."""


def digest(email_key: str) -> str:
    """Return a keyed digest of an e-mail address as typed, which may be a misplaced password.

    A plain digest would not do, since e-mail addresses can be guessed.
    """
    key = derivation.derive_key(current_app.config["SECRET_KEY"], SUBJECT_LABEL)
    return derivation.mac(key, email_key.encode("utf-8", "surrogatepass"))[:16].hex()
