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
            "set MAIL_URL, MAIL_FROM and FRONTEND_URL; see docs/mail.md",
        )
    only = f", only to {', '.join(config['MAIL_ONLY_TO'])}" if config["MAIL_ONLY_TO"] else ""
    links = f"links to {config['FRONTEND_URL']}"
    return ok(f"{url} as {config['MAIL_FROM']}{only}, {links}, delivered by {_deliverer()}")


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
    stages = []
    trial = delivery.module("trial")
    try:
        for stage, seconds in trial.connection_stages(current_app):
            stages.append(f"{stage} {seconds * 1000:.0f} ms")
        days = trial.certificate_days(current_app)
    except TransportDown as failure:
        failed = f"{failure.stage} failed: {failure.reason}"
        remedy = f"see the stage `{failure.stage}` under When mail stops in docs/mail.md"
        return error(", ".join([*stages, failed]), remedy)
    found = ", ".join(stages)
    if days is None:
        return ok(found)
    found += f"; the certificate expires in {days} days"
    return warning(found, "renew the certificate") if days < FEW_DAYS else ok(found)


def mail_templates() -> Finding:
    """Render every kind of mail in every language with sample data."""
    if _url().is_off:
        return ok(OFF)
    faults = delivery.module("trial").template_faults(current_app)
    if faults:
        return warning(
            f"broken, the built-in templates are used instead: {'; '.join(faults)}",
            "correct the templates in MAIL_TEMPLATES; `mail_preview` prints a mail",
        )
    language, known = current_app.config["DEFAULT_LANGUAGE"], _languages()
    if not {language, language.partition("-")[0]}.intersection(known):
        return warning(
            f"no template is in DEFAULT_LANGUAGE {language}: mail is in English instead",
            f"set DEFAULT_LANGUAGE to one of {', '.join(known)}; docs/mail.md shows how to add one",
        )
    return ok(f"every kind of mail can be rendered in {', '.join(known)}")


def mail_domain() -> Finding:
    """Check that the sender's domain has SPF and DMARC records, which spam filters expect."""
    if not _url().is_smtp:
        return ok(NOT_SMTP)
    domain = current_app.config["MAIL_FROM"].domain
    try:
        missing = delivery.module("trial").missing_records(domain)
    except OSError as failure:
        return warning(
            f"the records of {domain} cannot be looked up ({failure.strerror})",
            "check the DNS resolver of this machine",
        )
    if missing:
        found = f"{domain} has no {' and no '.join(missing)} record: mail may be treated as spam"
        return warning(found, "publish the records; see DNS records in docs/mail.md")
    return ok(f"{domain} has SPF and DMARC records")


def outbox() -> Finding:
    """Check for overdue messages, and for messages that failed within a day."""
    if _url().is_off:
        return ok(OFF)
    overdue = messages.overdue()
    has_failed = (Outbox.outcome == Outcome.FAILED, Outbox.done_at > utcnow() - RECENT)
    failed = len(messages.listed(*has_failed, limit=MAX_COUNTED))
    waiting = sum(messages.pending().values())
    found = f"{waiting} waiting, {failed} failed within a day, delivered by {_deliverer()}"
    if overdue > OVERDUE:
        found += f"; the oldest has been due for {overdue.total_seconds():.0f} s"
        return error(found, "check `mail_server` above, and that the delivery runs")
    return warning(found, "`outbox --failed` lists the reasons") if failed else ok(found)


def _deliverer() -> str:
    is_by_workers = current_app.config["MAIL_DELIVERY"] == "workers"
    return "the workers" if is_by_workers else "manage.py deliver"


def _url() -> MailURL:
    url: MailURL = current_app.config["MAIL_URL"]
    return url


def _languages() -> list[str]:
    languages: list[str] = delivery.module("rendering").Renderer(current_app.config).languages()
    return languages
