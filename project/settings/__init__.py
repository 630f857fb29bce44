"""All settings in one list, for the configuration classes, the checks and the README's table."""

from project.settings.access import ACCESS
from project.settings.accounts import ACCOUNTS
from project.settings.limits import LIMITS
from project.settings.mail import MAIL
from project.settings.passwords import PASSWORDS
from project.settings.setting import Setting
from project.settings.storage import STORAGE
from project.settings.tokens import TOKENS

__all__ = ["SETTINGS", "Setting"]

SETTINGS = (*STORAGE, *TOKENS, *PASSWORDS, *LIMITS, *ACCESS, *ACCOUNTS, *MAIL)
