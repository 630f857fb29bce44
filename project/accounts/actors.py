"""The actor of an operation."""

from dataclasses import dataclass

from project.security import addresses

MAX_USER_AGENT = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """The address, user agent and authenticated user, if any, that perform an operation."""

    address: str
    user_agent: str
    user_id: int | None = None
    language: str = ""
    """The language that the client prefers, where it names one."""

    @property
    def network(self) -> str:
        """The network under which the throttle counts the address."""
        return addresses.network(self.address)

    @property
    def site(self) -> str:
        """The largest network that may belong to this client alone: the /48 of an IPv6 address."""
        return addresses.site(self.address)


COMMAND = Actor(address="", user_agent="command")
"""The actor of the commands of `manage.py`."""

SERVICE = Actor(address="", user_agent="service")
"""The service itself, as the actor of automatic operations such as key rotation."""
