"""The password policy (NIST SP 800-63B-4, section 3.1.1.2).

A new password must have a minimum length and must not be easily guessed. There are no rules on
which characters it contains.
"""

from dataclasses import dataclass
from enum import StrEnum

from project.security import identifiers
from project.security.passwords import breaches, common_passwords, hashing, resemblance


class Weakness(StrEnum):
    """The reason why a new password is rejected; its value is the error code."""

    TOO_SHORT = "password_too_short"
    COMMON = "password_common"
    BREACHED = "password_breached"
    RESEMBLES_USER = "password_resembles_user"


@dataclass(frozen=True, slots=True)
class Policy:
    """Checks new passwords."""

    min_length: int
    """Code points of the normalized password."""
    service_name: str
    breaches_file: str | None

    def weaknesses(self, password: str, username: str, email: str) -> list[Weakness]:
        """Return all weaknesses of a user's new password.

        Raises OSError or FileUnusable if the file of breached passwords has become unusable.
        """
        normalized = hashing.normalize(password)
        visible = "".join(filter(identifiers.is_visible, normalized))
        names = (username, email, email.rpartition("@")[0], self.service_name)
        found = {
            Weakness.TOO_SHORT: len(normalized) < self.min_length,
            Weakness.COMMON: common_passwords.contain(visible),
            Weakness.BREACHED: self._is_breached(password),
            Weakness.RESEMBLES_USER: resemblance.resembles(visible, names),
        }
        return [weakness for weakness, applies in found.items() if applies]

    def _is_breached(self, password: str) -> bool:
        return self.breaches_file is not None and breaches.contain(password, self.breaches_file)
