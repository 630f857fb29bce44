"""Settings of the life of an account."""

from datetime import timedelta

from project.settings.parsers import duration, duration_or_zero
from project.settings.setting import Setting

ACCOUNTS = (
    Setting("REAUTHENTICATION_WINDOW", duration, timedelta(minutes=10),
        "Time for which an authentication counts as recent. Sensitive operations, such as "
        "deleting the account, require a recent one."),
    Setting("DELETION_GRACE", duration_or_zero, timedelta(days=7),
        "Time for which a deleted account can be restored by the link in the farewell mail; then "
        "`purge` erases it. `0` erases it at once."),
)  # fmt: skip
