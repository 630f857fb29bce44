"""The doctor's checks of mail. Without mail, only MAIL_URL is checked."""

from datetime import timedelta

from flask import current_app

from project import delivery
from project.accounts import outbox as messages
from project.clock import utcnow
from project.commands.doctor.findings import Finding, error, ok, warning
from project.delivery.outcomes import TransportDown
from project.models.outbox import Outbox, Outcome
from project.settings.mail_parsers import MailURL

OFF = "there is no mail"
NOT_SMTP = "no mail server is used"
FEW_DAYS = 14
"""The doctor warns if the mail server's certificate expires in fewer days than this."""
OVERDUE = timedelta(minutes=5)
RECENT = timedelta(days=1)
MAX_COUNTED = 1000


def mail() -> Finding:
    """Report the mail transport, the sender and the process that delivers."""
    config, url = current_app.config, _url()
    if url.is_off:
        return warning(
            "MAIL_URL is none: no mail is sent, and nobody can reset a password",
            "set MAIL_URL, MAIL_FROM and FRONTEND_URL; docs/mail.md shows how",
        )
    by = "the workers" if config["MAIL_DELIVERY"] == "workers" else "manage.py deliver"
    only = f", only to {', '.join(config['MAIL_ONLY_TO'])}" if config["MAIL_ONLY_TO"] else ""
    return ok(f"{url} as {config['MAIL_FROM']}{only}, delivered by {by}")


def mail_folder() -> Finding:
    """Check that mail is not written to files in production."""
    if _url().scheme != "folder":
        return ok("mail is not written to files")
    if current_app.config["STRICT"]:
        return error(
            "mail is written to files, and reaches nobody", "set MAIL_URL to a mail server"
        )
    return ok("mail is written to files, for development")


def mail_server() -> Finding:
    """Connect to the mail server, stage by stage up to MAIL FROM, without sending mail."""
    if not _url().is_smtp:
        return ok(NOT_SMTP)
    timed = []
    try:
        for stage, seconds in delivery.module("trial").connection_stages(current_app):
            timed.append(f"{stage} {seconds * 1000:.0f} ms")
    except TransportDown as failure:
        return error(
            f"{', '.join([*timed, ''])}then {failure.stage} fails: {failure.reason}",
            "docs/mail.md has what to do for each stage",
        )
    days = delivery.module("trial").certificate_days(current_app)
    found = ", ".join(timed)
    if days is not None and days < FEW_DAYS:
        return warning(f"{found}; its certificate ends in {days} days", "have it renewed")
    return ok(found)


def mail_templates() -> Finding:
    """Render every kind of mail in every language with sample data."""
    if _url().is_off:
        return ok(OFF)
    faults = delivery.module("trial").template_faults(current_app)
    if faults:
        return warning(
            f"broken, ours are used instead: {'; '.join(faults)}",
            "mend the templates in MAIL_TEMPLATES; `mail_preview` prints one",
        )
    return ok("every kind can be rendered in every language")


def mail_domain() -> Finding:
    """Check that the sender's domain has SPF and DMARC records, which spam filters expect."""
    if not _url().is_smtp:
        return ok(NOT_SMTP)
    domain = current_app.config["MAIL_FROM"].domain
    lacking = delivery.module("trial").domain_faults(domain)
    if lacking:
        remedy = "publish them; docs/mail.md shows how"
        return warning(f"{domain} has no record of {' and '.join(lacking)}", remedy)
    return ok(f"{domain} has SPF and DMARC")


def outbox() -> Finding:
    """Check for overdue messages, and for messages that failed within a day."""
    if _url().is_off:
        return ok(OFF)
    overdue = messages.overdue()
    has_failed = (Outbox.outcome == Outcome.FAILED, Outbox.done_at > utcnow() - RECENT)
    failed = len(messages.listed(*has_failed, limit=MAX_COUNTED))
    found = f"{sum(messages.pending().values())} wait, {failed} failed within a day"
    if overdue > OVERDUE:
        by = "the workers" if current_app.config["MAIL_DELIVERY"] == "workers" else "deliver"
        waits = f"{found}; the oldest has been due for {overdue.total_seconds():.0f} s"
        return error(waits, f"see that {by} runs, and what `mail_server` says above")
    return warning(found, "`outbox --failed` has the reasons") if failed else ok(found)


def _url() -> MailURL:
    url: MailURL = current_app.config["MAIL_URL"]
    return url
