"""Who has a deed done."""

from dataclasses import dataclass

from project.security import addresses

MAX_USER_AGENT = 200


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks: the address, what the client calls itself, and whose token it has shown."""

    address: str
    user_agent: str
    user_id: int | None = None
    language: str = ""
    """The language that the client prefers, where it names one."""

    @property
    def network(self) -> str:
        """What the address is counted as."""
        return addresses.network(self.address)

    @property
    def site(self) -> str:
        """The largest network that the client may have."""
        return addresses.site(self.address)


COMMAND = Actor(address="", user_agent="command")
"""Whoever may type a command of `manage.py`."""

SERVICE = Actor(address="", user_agent="service")
"""The service itself, when something is due."""
