"""The `doctor` command, which checks an installation without changing it."""

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
    "database": database_checks.database,
    "migrations": database_checks.migrations,
    "clock": database_checks.clock,
    "connections": database_checks.connections,
    "database_file": checks.database_file,
    "disk_space": checks.disk_space,
    "shared_secret": database_checks.recorded_secret,
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
    findings = {name: _run_check(check) for name, check in CHECKS.items()}
    worst = max(finding.level for finding in findings.values())
    print(_format_json(findings, worst) if json else _format_text(findings))
    return worst


def _run_check(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except OSError as caught:
        return error(
            f"cannot be checked ({caught.strerror}: {caught.filename})",
            "make the file readable for this user",
        )
    except SQLAlchemyError as caught:
        return error(
            f"database error: {failures.describe(caught)}",
            "check DATABASE_URL, that the database runs, and that all migrations are applied",
        )


def _format_text(findings: dict[str, Finding]) -> str:
    width = max(map(len, findings))
    lines = []
    for name, finding in findings.items():
        lines.append(f"{finding.level.name.lower():7}  {name:{width}}  {finding.found}")
        if finding.remedy:
            lines.append(f"{'':7}  {'':{width}}  -> {finding.remedy}")
    return "\n".join(lines)


def _format_json(findings: dict[str, Finding], worst: Level) -> str:
    entries = [
        {
            "check": name,
            "level": finding.level.name.lower(),
            "found": finding.found,
            "remedy": finding.remedy or None,
        }
        for name, finding in findings.items()
    ]
    return current_app.json.dumps({"level": worst.name.lower(), "findings": entries}, indent=2)
