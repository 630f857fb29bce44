"""Mail and its links."""

from project.settings import mail_parsers
from project.settings.parsers import choice, string
from project.settings.setting import Setting

MAIL = (
    Setting("MAIL_URL", mail_parsers.mail_url, mail_parsers.NO_MAIL,
        "How mail is sent: `smtps://user:password@host:465`, `smtp://…:587` (with STARTTLS), "
        "`smtp+plain://localhost:25`, `folder:` (files in the instance folder) or `none:`; see "
        "docs/mail.md."),
    Setting("MAIL_PASSWORD_FILE", string, None,
        "A file with the password for the mail server, instead of one in `MAIL_URL`."),
    Setting("MAIL_FROM", mail_parsers.mailbox, None,
        "The sender of every mail, like `Users <no-reply@example.com>`; required for mail."),
    Setting("MAIL_REPLY_TO", mail_parsers.mailbox, None,
        "The address that replies go to."),
    Setting("MAIL_HELO", mail_parsers.host_name, None,
        "The name by which the service greets the mail server. Without one: the domain of "
        "`MAIL_FROM`."),
    Setting("MAIL_TEMPLATES", string, None,
        "A folder with templates of your own; see docs/mail.md."),
    Setting("MAIL_ONLY_TO", mail_parsers.allow_list, [],
        "For staging: the domains and addresses that get mail, separated by commas; mail to all "
        "others is written to the mail folder."),
    Setting("MAIL_DELIVERY", choice("workers", "command"), "workers",
        "Who delivers mail: the server's `workers`, or only the `command` `manage.py deliver`."),
    Setting("EMAIL_VERIFICATION", choice("off", "optional", "required"), "optional",
        "Whether a registration sends a mail to verify the address; `required`: and "
        "`/auth/forward` rejects an unverified account."),
    Setting("DEFAULT_LANGUAGE", mail_parsers.language, "en",
        "The language of mail to those whose language is not known."),
    Setting("FRONTEND_URL", mail_parsers.frontend_url, None,
        "The URL of your front end, with which every link in a mail begins; required for mail."),
)  # fmt: skip
