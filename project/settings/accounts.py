"""Settings of the life of an account."""

from datetime import timedelta

from project.settings.parsers import boolean, choice, duration, duration_or_zero
from project.settings.setting import Setting

ACCOUNTS = (
    Setting("REAUTHENTICATION_WINDOW", duration, timedelta(minutes=10),
        "Time for which an authentication counts as recent. Sensitive operations, such as "
        "deleting the account, require a recent authentication."),
    Setting("DELETION_GRACE", duration_or_zero, timedelta(days=7),
        "Time for which a deleted account can be restored by the link in the farewell mail; then "
        "`purge` erases it. `0` erases it at once."),
    Setting("REGISTRATION", choice("open", "invited", "closed"), "open",
        "Who can register: `open`, everybody; `invited`, those whom an administrator invites by "
        "mail, which requires `MAIL_URL`; `closed`, nobody. Administrators can always create "
        "accounts."),
    Setting("EMAIL_LOGIN", boolean, False,
        "Allow logins with a code from a mail instead of a password; requires `MAIL_URL`."),
    Setting("UNVERIFIED_LIFETIME", duration, None,
        "Age, such as `30d`, at which `purge` deletes an account with an unverified e-mail "
        "address, unless it is an administrator's. Accounts from before mail was set up and "
        "accounts that an administrator created are deleted too. No effect without mail, or if "
        "`EMAIL_VERIFICATION` is `off`."),
)  # fmt: skip
