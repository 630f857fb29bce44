"""The doctor's checks of the settings and the machine."""

import os
import shutil
import stat
import time
from pathlib import Path

from flask import current_app

from project.commands.console import database_name
from project.commands.doctor.findings import Finding, error, ok, warn_in_production, warning
from project.extensions import bcrypt, db
from project.instance import SECRET_FILE
from project.security.passwords import hashing
from project.security.secret_strength import find_weakness

MIN_COST = 10
"""The minimum bcrypt cost that OWASP's Password Storage Cheat Sheet recommends."""

MAX_HASH_SECONDS = 1.0
"""Maximum duration of a password hash in seconds; a longer one makes logins slow."""

MIN_FREE_BYTES = 2**30
"""Free space in bytes on the disk of an SQLite database below which there is a warning."""

CRITICAL_FREE_BYTES = 2**26
"""Free space in bytes below which there is an error."""


def settings() -> Finding:
    """Check the configuration class, and look for misspelt settings in the environment."""
    chosen = current_app.config["APP_SETTINGS"]
    if misspelt := current_app.config["MISSPELT_SETTINGS"]:
        pairs = ", ".join(f"{name} (did you mean {known}?)" for name, known in misspelt.items())
        return error(f"{chosen}; unknown settings are ignored: {pairs}", "correct their names")
    if current_app.config["STRICT"]:
        return ok(str(chosen))
    return warning(
        f"{chosen}, which permits insecure settings",
        "set APP_SETTINGS=project.config.ProductionConfig, except for development",
    )


def secret() -> Finding:
    """Check whether the secret or a fallback can be guessed."""
    config = current_app.config
    folder = Path(config["INSTANCE_PATH"])
    given = [name for name in ("SECRET_KEY", "SECRET_KEY_FILE") if os.environ.get(name)]
    source = given[0] if given else str(folder / SECRET_FILE)
    remedy = 'create one: python -c "import secrets; print(secrets.token_hex(32))"'
    if reason := find_weakness(config["SECRET_KEY"]):
        return error(
            f"the secret, from {source}, {reason}",
            f"{remedy}; do not add the old secret to SECRET_KEY_FALLBACKS",
        )
    if any(find_weakness(old) for old in config["SECRET_KEY_FALLBACKS"]):
        return error("one of SECRET_KEY_FALLBACKS can be guessed", "remove it")
    return ok(f"strong, from {source}; {len(config['SECRET_KEY_FALLBACKS'])} fallbacks")


def password_hash() -> Finding:
    """Measure the duration of a password hash, which limits the number of logins per second."""
    cost = current_app.config["BCRYPT_LOG_ROUNDS"]
    cores = len(os.sched_getaffinity(0))
    started_at = time.perf_counter()
    bcrypt.check_password_hash(hashing.dummy_hash(cost), "password")
    seconds = time.perf_counter() - started_at
    found = (
        f"{seconds * 1000:.0f} ms at cost {cost}: at most {cores / seconds:.0f} logins a second on "
        f"{cores} cores"
    )
    if seconds > MAX_HASH_SECONDS:
        return warning(found, "lower BCRYPT_LOG_ROUNDS; each decrement halves the time")
    return warn_in_production(
        cost < MIN_COST, found, f"set BCRYPT_LOG_ROUNDS to {MIN_COST} or more"
    )


def password_policy() -> Finding:
    """Check whether the password policy is on."""
    if not current_app.config["PASSWORD_POLICY"]:
        return warn_in_production(
            True, "off: users may choose any password", "set PASSWORD_POLICY=true"
        )
    breached = current_app.config["BREACHED_PASSWORDS_FILE"]
    return ok(f"on, {'with' if breached else 'without'} a file of breached passwords")


def trusted_proxies() -> Finding:
    """Check whether a proxy is trusted to set the client's address."""
    trusted = current_app.config["TRUSTED_PROXIES"]
    return warn_in_production(
        not trusted,
        f"trusted: {', '.join(map(str, trusted)) or 'none'}",
        "set TRUSTED_PROXIES to the proxy that terminates TLS; otherwise all clients share one "
        "rate limit",
    )


def cors_origins() -> Finding:
    """Check whether pages of every origin may call the service."""
    origins = current_app.config["CORS_ORIGINS"]
    return warn_in_production(
        "*" in origins, ", ".join(origins), "set CORS_ORIGINS to the origins of your own pages"
    )


def users_public() -> Finding:
    """Check whether the accounts can be read without authentication."""
    public = current_app.config["USERS_PUBLIC"]
    found = "anyone can read /users, including e-mail addresses" if public else "off"
    return warn_in_production(public, found, "set USERS_PUBLIC=false")


def instance_folder() -> Finding:
    """Check whether other users of this machine can access the instance folder or its secret."""
    folder = Path(current_app.config["INSTANCE_PATH"])
    if not folder.exists():
        return ok(f"{folder} does not exist; these settings do not need it")
    for path in (folder / SECRET_FILE, folder):
        if path.exists() and (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            level = error if path.is_file() else warning
            return level(
                f"{path} has mode {mode:o}: other users of this machine have access",
                f"chmod go= {path}",
            )
    return ok(f"{folder} is private to its owner")


def database_file() -> Finding:
    """Check whether other users of this machine can read the files of the SQLite database."""
    if db.engine.name != "sqlite":
        return ok(f"{database_name()} is on a server")
    file = str(db.engine.url.database)
    paths = [Path(f"{file}{suffix}") for suffix in ("", "-wal", "-shm")]
    readable = [str(path) for path in paths if path.exists() and path.stat().st_mode & 0o077]
    if readable:
        listed = " ".join(readable)
        return warning(f"other users of this machine can read {listed}", f"chmod go= {listed}")
    return ok(f"{file} is private to its owner")


def disk_space() -> Finding:
    """Check that the disk of the SQLite database has free space, also for a backup."""
    if db.engine.name != "sqlite":
        return ok(f"{database_name()} is on a server; its disk cannot be checked from here")
    file = Path(db.engine.url.database or "")
    free = shutil.disk_usage(file.parent).free
    size = file.stat().st_size if file.exists() else 0
    found = f"{free // 2**20} MiB free; the database has {size // 2**20} MiB"
    remedy = f"free space on the disk of {file.parent}; purge frees space inside the database file"
    if free < CRITICAL_FREE_BYTES:
        return error(found, remedy)
    return warning(found, remedy) if free < max(MIN_FREE_BYTES, 2 * size) else ok(found)
