"""Settings of mail and its links."""

from project.settings import mail_parsers
from project.settings.parsers import choice, string
from project.settings.setting import Setting

MAIL = (
    Setting("MAIL_URL", mail_parsers.mail_url, mail_parsers.NO_MAIL,
        "Mail transport: `smtps://user:password@host:465`, `smtp://…:587` (with STARTTLS), "
        "`smtp+plain://localhost:25`, `folder:` (files in the instance folder) or `none:`; see "
        "docs/mail.md."),
    Setting("MAIL_PASSWORD_FILE", string, None,
        "File with the password for the mail server, as an alternative to `MAIL_URL`."),
    Setting("MAIL_FROM", mail_parsers.mailbox, None,
        "Sender of every mail, such as `Users <no-reply@example.com>`; required for mail."),
    Setting("MAIL_REPLY_TO", mail_parsers.mailbox, None,
        "Address for replies to mail."),
    Setting("MAIL_HELO", mail_parsers.host_name, None,
        "Host name in the greeting to the mail server (EHLO). Defaults to the domain of "
        "`MAIL_FROM`."),
    Setting("MAIL_TEMPLATES", string, None,
        "Folder with your own mail templates; see docs/mail.md."),
    Setting("MAIL_ONLY_TO", mail_parsers.allow_list, [],
        "For staging: domains and addresses that may receive mail, separated by commas. All other "
        "mail is written to the mail folder."),
    Setting("MAIL_DELIVERY", choice("workers", "command"), "workers",
        "Processes that deliver mail: `workers` (those of the server) or `command` (only "
        "`manage.py deliver`)."),
    Setting("EMAIL_VERIFICATION", choice("off", "optional", "required"), "optional",
        "Verification of e-mail addresses: `off` sends no mail at registration; `optional` sends "
        "it; with `required`, which requires `MAIL_URL`, `/auth/forward` also rejects accounts "
        "with an unverified address."),
    Setting("DEFAULT_LANGUAGE", mail_parsers.language, "en",
        "Language of mail if neither the account nor the request names one."),
    Setting("FRONTEND_URL", mail_parsers.frontend_url, None,
        "Base URL of all links in mail: the URL of your front end; required for mail."),
)  # fmt: skip
