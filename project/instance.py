"""The instance folder: what belongs to this installation alone and is made when first needed."""

import os
import secrets
from pathlib import Path

from sqlalchemy import URL

from project.security.secret_strength import MIN_BYTES

SECRET_FILE = "secret_key"


class DamagedSecret(Exception):
    """The folder's secret is not one that was made here."""


def kept_database(folder: Path, name: str) -> URL:
    """Return the URL of the folder's database, made for its owner alone: it holds hashes."""
    _make_folder(folder)
    file = folder / name
    if not file.exists():
        file.touch(mode=0o600)
    return URL.create("sqlite", database=str(file))


def kept_secret(folder: Path) -> str:
    """Return this installation's secret from the folder, made at the first call.

    The file is written whole under another name and then linked: of several processes that start
    at once the first link wins, and all read the same secret. Raises OSError where the folder
    cannot be written, and DamagedSecret.
    """
    file = folder / SECRET_FILE
    _make_folder(folder)
    if not file.exists():
        _make(file, folder / f"{SECRET_FILE}.{secrets.token_hex(8)}")
    secret = file.read_bytes().strip() if file.is_file() else b""
    if len(secret) < MIN_BYTES or not secret.isascii():
        raise DamagedSecret(f"{file} does not hold {MIN_BYTES} characters")
    return secret.decode("ascii")


def _make_folder(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _make(file: Path, draft: Path) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(secrets.token_hex(MIN_BYTES))
    try:
        file.hardlink_to(draft)
    except FileExistsError:
        return
    finally:
        draft.unlink()
