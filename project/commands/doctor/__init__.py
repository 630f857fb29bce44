"""The command that checks an installation, and changes no row."""

from collections.abc import Callable
from typing import Annotated

from flask import current_app
from sqlalchemy.exc import SQLAlchemyError

from project.commands.doctor import checks, database_checks, mail_checks
from project.commands.doctor.findings import Finding, Level, error
from project.database import failures

CHECKS: dict[str, Callable[[], Finding]] = {
    "settings": checks.settings,
    "secret": checks.secret,
    "database": database_checks.reach,
    "migrations": database_checks.migrations,
    "clock": database_checks.clock,
    "connections": database_checks.connections,
    "database_file": checks.database_file,
    "disk_space": checks.disk_space,
    "shared_secret": database_checks.secret_of_servers,
    "signing_keys": database_checks.newest_signing_key,
    "password_hash": checks.password_hash,
    "password_policy": checks.password_policy,
    "trusted_proxies": checks.trusted_proxies,
    "cors_origins": checks.cors_origins,
    "users_public": checks.users_public,
    "instance_folder": checks.instance_folder,
    "mail": mail_checks.mail,
    "mail_folder": mail_checks.mail_folder,
    "mail_server": mail_checks.mail_server,
    "mail_domain": mail_checks.mail_domain,
    "mail_templates": mail_checks.mail_templates,
    "outbox": mail_checks.outbox,
}


def doctor(json: Annotated[bool, "Print JSON."] = False) -> int:
    """Check the installation; exit with 0 if all is well, 1 on a warning, 2 on an error."""
    findings = {name: _examined(check) for name, check in CHECKS.items()}
    worst = max(finding.level for finding in findings.values())
    print(_as_json(findings, worst) if json else _as_text(findings))
    return worst


def _examined(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except OSError as caught:
        return error(f"could not look ({caught.strerror}: {caught.filename})", "make it readable")
    except SQLAlchemyError as caught:
        return error(
            f"database error: {failures.reason(caught)}",
            "see that DATABASE_URL is right, the server runs, and the migrations are applied",
        )


def _as_text(findings: dict[str, Finding]) -> str:
    width = max(map(len, findings))
    lines = []
    for name, finding in findings.items():
        lines.append(f"{finding.level.name.lower():7}  {name:{width}}  {finding.found}")
        if finding.remedy:
            lines.append(f"{'':7}  {'':{width}}  -> {finding.remedy}")
    return "\n".join(lines)


def _as_json(findings: dict[str, Finding], worst: Level) -> str:
    told = [
        {
            "check": name,
            "level": finding.level.name.lower(),
            "found": finding.found,
            "remedy": finding.remedy or None,
        }
        for name, finding in findings.items()
    ]
    return current_app.json.dumps({"level": worst.name.lower(), "findings": told}, indent=2)
