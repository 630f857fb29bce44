"""The instance folder: the secret and the SQLite database of one installation."""

import os
import secrets
from pathlib import Path

from sqlalchemy import URL

from project.security.secret_strength import MIN_BYTES

SECRET_FILE = "secret_key"


class DamagedSecret(Exception):
    """The instance folder's secret is too short, or not ASCII."""


def ensure_database(folder: Path, name: str) -> URL:
    """Return the URL of the folder's SQLite database, and create its file where it is missing.

    The file is private to its owner, since the database contains password hashes.
    """
    _make_folder(folder)
    file = folder / name
    if not file.exists():
        file.touch(mode=0o600)
    return URL.create("sqlite", database=str(file))


def ensure_secret(folder: Path) -> str:
    """Return the folder's secret, and generate it where it is missing.

    The secret is written to a temporary file, which is then linked to its name: when several
    processes start at once, the first link wins and all read the same secret. Raises DamagedSecret,
    and OSError where the folder is not writable.
    """
    file = folder / SECRET_FILE
    _make_folder(folder)
    if not file.exists():
        _generate(file, folder / f"{SECRET_FILE}.{secrets.token_hex(8)}")
    secret = file.read_bytes().strip() if file.is_file() else b""
    if len(secret) < MIN_BYTES or not secret.isascii():
        raise DamagedSecret(f"{file} does not contain {MIN_BYTES} ASCII characters")
    return secret.decode("ascii")


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _generate(file: Path, draft: Path) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(MIN_BYTES))
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()
