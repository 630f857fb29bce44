"""What the doctor looks at in the settings and on the machine."""

import os
import shutil
import stat
import time
from pathlib import Path

from flask import current_app

from project.commands.console import database_name
from project.commands.doctor.findings import Finding, error, in_production, ok, warning
from project.extensions import bcrypt, db
from project.instance import SECRET_FILE
from project.security.passwords import hashing
from project.security.secret_strength import find_weakness

MIN_COST = 10
"""Of bcrypt, by OWASP's Password Storage Cheat Sheet."""

MAX_HASH = 1.0
"""Seconds that somebody who logs in may be kept waiting."""

MIN_SPACE = 2**30
"""Bytes free on the disk of an SQLite database."""

FULL = 2**26
"""Bytes free with which the disk is as good as full."""


def settings() -> Finding:
    """Check the class of settings, and whether names in the environment are misspelt."""
    chosen = current_app.config["APP_SETTINGS"]
    if misspelt := current_app.config["MISSPELT_SETTINGS"]:
        pairs = ", ".join(f"{name} (is {nearest} meant?)" for name, nearest in misspelt.items())
        return error(f"{chosen}; ignored, since they are no settings: {pairs}", "rename them")
    if current_app.config["STRICT"]:
        return ok(str(chosen))
    return warning(
        f"{chosen}, which permits insecure settings",
        "set APP_SETTINGS=project.config.ProductionConfig where this is not for development",
    )


def secret() -> Finding:
    """Look whether a secret can be guessed, and where the first is from."""
    config = current_app.config
    folder = Path(config["INSTANCE_PATH"])
    given = [name for name in ("SECRET_KEY", "SECRET_KEY_FILE") if os.environ.get(name)]
    source = given[0] if given else str(folder / SECRET_FILE)
    remedy = 'make one by: python -c "import secrets; print(secrets.token_hex(32))"'
    if found := find_weakness(config["SECRET_KEY"]):
        return error(f"the secret, from {source}, {found}", f"{remedy}; the old one is no fallback")
    if any(find_weakness(old) for old in config["SECRET_KEY_FALLBACKS"]):
        return error("one of SECRET_KEY_FALLBACKS can be guessed", "leave it out")
    return ok(f"strong, from {source}; {len(config['SECRET_KEY_FALLBACKS'])} fallbacks")


def password_hash() -> Finding:
    """Measure how long a password's hash takes here, and so how many log in at most."""
    cost = current_app.config["BCRYPT_LOG_ROUNDS"]
    cores = len(os.sched_getaffinity(0))
    began = time.perf_counter()
    bcrypt.check_password_hash(hashing.dummy_hash(cost), "password")
    seconds = time.perf_counter() - began
    found = (
        f"{seconds * 1000:.0f} ms at cost {cost}: at most {cores / seconds:.0f} logins a second on "
        f"{cores} cores"
    )
    if seconds > MAX_HASH:
        return warning(found, "set BCRYPT_LOG_ROUNDS lower; one less halves the time")
    return in_production(cost < MIN_COST, found, f"set BCRYPT_LOG_ROUNDS to {MIN_COST} or more")


def password_policy() -> Finding:
    """Look whether new passwords that are easily guessed are refused."""
    if not current_app.config["PASSWORD_POLICY"]:
        return in_production(
            True, "off: any password may be chosen", "leave PASSWORD_POLICY as production has it"
        )
    breached = current_app.config["BREACHED_PASSWORDS_FILE"]
    return ok(f"on, {'with' if breached else 'without'} a file of breached passwords")


def trusted_proxies() -> Finding:
    """Look whether a client's address can be told behind a proxy."""
    trusted = current_app.config["TRUSTED_PROXIES"]
    return in_production(
        not trusted,
        f"trusted: {', '.join(map(str, trusted)) or 'nobody'}",
        "set TRUSTED_PROXIES to the proxy that ends TLS; else its clients share one rate limit",
    )


def cors_origins() -> Finding:
    """Look whether the pages of every origin may call the service."""
    origins = current_app.config["CORS_ORIGINS"]
    return in_production(
        "*" in origins, ", ".join(origins), "set CORS_ORIGINS to the origins of your own pages"
    )


def users_public() -> Finding:
    """Look whether everybody may read the accounts."""
    public = current_app.config["USERS_PUBLIC"]
    found = "everybody may read /users, with addresses" if public else "off"
    return in_production(public, found, "set USERS_PUBLIC=false")


def instance_folder() -> Finding:
    """Look whether others on the machine may read the instance folder, or the secret in it."""
    folder = Path(current_app.config["INSTANCE_PATH"])
    if not folder.exists():
        return ok(f"{folder} is not there, and not needed")
    for path in (folder / SECRET_FILE, folder):
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            opened = error if path.is_file() else warning
            return opened(f"{path} has mode {mode:o}: others may enter", f"chmod go= {path}")
    return ok(f"{folder} is private to its owner")


def database_file() -> Finding:
    """Check whether others on the machine may read the SQLite database, or what is beside it."""
    if db.engine.name != "sqlite":
        return ok(f"{database_name()} is on a server")
    file = str(db.engine.url.database)
    paths = [Path(f"{file}{suffix}") for suffix in ("", "-wal", "-shm")]
    readable = [str(path) for path in paths if path.exists() and path.stat().st_mode & 0o077]
    if readable:
        listed = " ".join(readable)
        return warning(f"others on the machine may read {listed}", f"chmod go= {listed}")
    return ok(f"{file} is private to its owner")


def disk_space() -> Finding:
    """Look how much room the SQLite database has; a backup beside it needs as much again."""
    if db.engine.name != "sqlite":
        return ok(f"{database_name()} is on a server, whose disk is not seen from here")
    file = Path(db.engine.url.database or "")
    free = shutil.disk_usage(file.parent).free
    size = file.stat().st_size if file.exists() else 0
    found = f"{free // 2**20} MiB free beside {size // 2**20} MiB of database"
    remedy = f"make room on the disk of {file.parent}; purge makes room inside of the database"
    if free < FULL:
        return error(found, remedy)
    return warning(found, remedy) if free < max(MIN_SPACE, 2 * size) else ok(found)
