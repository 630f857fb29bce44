"""Which passwords may be chosen (NIST SP 800-63B-4, section 3.1.1.2).

Long enough, and none that is guessed first. Nothing is asked of the characters: any may be used,
and none must be.
"""

from dataclasses import dataclass
from enum import StrEnum

from project.security import identifiers
from project.security.passwords import breaches, common_passwords, hashing, resemblance


class Weakness(StrEnum):
    """Why a password may not be chosen."""

    TOO_SHORT = "password_too_short"
    COMMON = "password_common"
    BREACHED = "password_breached"
    RESEMBLES_USER = "password_resembles_user"


@dataclass(frozen=True, slots=True)
class Policy:
    """What is asked of a new password."""

    min_length: int
    """Characters: code points of the one form that is hashed."""
    service_name: str
    breaches_file: str | None

    def weaknesses(self, password: str, username: str, email: str) -> list[Weakness]:
        """Return everything that speaks against a user's new password.

        Raises OSError or FileUnusable where the file of breaches has gone bad since the start.
        """
        normalized = hashing.normalize(password)
        seen = "".join(filter(identifiers.is_visible, normalized))
        names = (username, email, email.rpartition("@")[0], self.service_name)
        found = {
            Weakness.TOO_SHORT: len(normalized) < self.min_length,
            Weakness.COMMON: common_passwords.contain(seen),
            Weakness.BREACHED: self._is_breached(password),
            Weakness.RESEMBLES_USER: resemblance.resembles(seen, names),
        }
        return [weakness for weakness, applies in found.items() if applies]

    def _is_breached(self, password: str) -> bool:
        return self.breaches_file is not None and breaches.contain(password, self.breaches_file)
