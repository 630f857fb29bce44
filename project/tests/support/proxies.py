"""Run real proxies with the configurations of the docs."""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from project.tests.support import databases
from project.tests.support.paths import ROOT
from project.tests.support.postgres import free_port

PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
"""Folders of system packages; /usr/sbin is missing from the PATH of many users."""
NGINX = shutil.which("nginx") or shutil.which("nginx", path=PROGRAMS)
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path=PROGRAMS)
DISTRIBUTIONS_CADDY = shutil.which("caddy", path=PROGRAMS)
NEWEST_CADDY = str(Path(sys.executable).with_name("caddy"))
MISSING_IN_CI = "CI_WITHOUT"
"""Environment variable with the programs that a CI machine cannot install."""
DOCS = ROOT / "docs"
CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log stderr notice;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {servers}
}}
"""
RESOLVED = re.compile(r"server users-service:5000 resolve (.*;)")


class Upstream(BaseHTTPRequestHandler):
    """An upstream that returns the header fields it receives."""

    def do_GET(self) -> None:  # the name is the library's
        """Return the header fields as JSON, each with all its values."""
        fields: dict[str, list[str]] = {}
        for name, value in self.headers.items():
            # Treat names as the least careful server does: WSGI reads `_` as `-`, others also dots.
            fields.setdefault(re.sub(r"[^a-z0-9]", "-", name.lower()), []).append(value)
        body = json.dumps(fields).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:  # the name is the library's
        """Read the body, then respond as to GET."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def upstream() -> Iterator[str]:
    """Run an upstream for the proxy; yield its host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def need(program: str, path: str | None) -> str:
    """Return the path of a program; if it is missing, skip the test, or fail it in CI."""
    missing_in_ci = os.environ.get(MISSING_IN_CI, "").split()
    if path is None and "CI" in os.environ and program not in missing_in_ci:
        pytest.fail(f"{program} is not installed, and this is CI")
    if path is None:
        pytest.skip(f"{program.upper()} IS NOT INSTALLED: its tests do not run")
    return path


def new_folder() -> Path:
    """Create a folder for the files of a proxy."""
    folder = databases.folder() / uuid4().hex
    folder.mkdir()
    return folder


@contextmanager
def nginx(locations: str) -> Iterator[str]:
    """Run nginx with these locations; yield its URL."""
    with nginx_with(f"server {{\n listen 80;\n {locations} }}") as url:
        yield url


@contextmanager
def nginx_with(servers: str) -> Iterator[str]:
    """Run nginx with these upstreams and a server on port 80 (replaced); yield its URL."""
    program, folder, port = need("nginx", NGINX), new_folder(), free_port()
    file = folder / "nginx.conf"
    servers = servers.replace("listen 80;", f"listen 127.0.0.1:{port};")
    file.write_text(CONFIGURATION.format(folder=folder, servers=servers))
    command = [program, "-e", "stderr", "-c", str(file), "-p", str(folder)]
    with running(command, "start worker process"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def nginx_of(file: Path, urls: Iterable[str]) -> Iterator[str]:
    """Run nginx with a complete configuration in front of these servers; yield its URL.

    The servers replace the host name that the configuration resolves repeatedly: there is no
    resolver of Docker here, and older versions of nginx have no `resolve`.
    """
    program, folder, port = need("nginx", NGINX), new_folder(), free_port()
    written = file.read_text().replace("/tmp/", f"{folder}/")
    written = written.replace("listen 8080;", f"listen 127.0.0.1:{port};")
    (named,) = RESOLVED.finditer(written)
    entries = (f"server {urlsplit(url).netloc} {named[1]}" for url in urls)
    (folder / "nginx.conf").write_text(written.replace(named[0], "\n".join(entries)))
    command = [program, "-e", "stderr", "-p", str(folder), "-g", "daemon off;"]
    with running([*command, "-c", str(folder / "nginx.conf")], "start worker process"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def caddy(site: str, path: str | None) -> Iterator[str]:
    """Run this Caddy with this site; yield its URL."""
    program, folder, port = need("caddy", path), new_folder(), free_port()
    file = folder / "Caddyfile"
    site = site.replace("example.com {", f"http://127.0.0.1:{port} {{")
    file.write_text("{\n    admin off\n}\n" + site)
    command = [program, "run", "--adapter", "caddyfile", "--config", str(file)]
    homes = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with running(command, "serving initial configuration", **homes):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def traefik(static: str, dynamic: str) -> Iterator[str]:
    """Run Traefik with these two files; yield its URL."""
    program = need("traefik", str(Path(sys.executable).with_name("traefik")))
    folder, port = new_folder(), free_port()
    (folder / "services.yaml").write_text(dynamic)
    static = static.replace('":80"', f"127.0.0.1:{port}")
    static = static.replace("/etc/traefik/services.yaml", str(folder / "services.yaml"))
    (folder / "traefik.yaml").write_text(static + "log:\n  level: INFO\n")
    with running([program, f"--configFile={folder / 'traefik.yaml'}"], "Starting provider"):
        _wait_until_routed(port)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def haproxy(configuration: str, script: str) -> Iterator[str]:
    """Run HAProxy with this configuration and this Lua script; yield its URL."""
    program, folder, port = need("haproxy", HAPROXY), new_folder(), free_port()
    version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stdout
    if re.search(r"version (1|2\.[0-4])\.", version):
        pytest.skip(f"HAPROXY IS OLDER THAN 2.5: its tests do not run\n{version}")
    (folder / "users.lua").write_text(script)
    configuration = configuration.replace("bind :80", f"bind 127.0.0.1:{port}")
    configuration = configuration.replace("/etc/haproxy/users.lua", str(folder / "users.lua"))
    (folder / "haproxy.cfg").write_text(configuration)
    with running([program, "-W", "-f", str(folder / "haproxy.cfg")], "Loading success"):
        yield f"http://127.0.0.1:{port}"


def _wait_until_routed(port: int) -> None:
    """Wait until Traefik has loaded its routes, which it does after its start."""
    for _ in range(1000):
        with suppress(OSError), closing(HTTPConnection("127.0.0.1", port, 10)) as connection:
            connection.request("GET", "/")
            if connection.getresponse().status != HTTPStatus.NOT_FOUND:
                return
        select.select([], [], [], 0.01)
    raise AssertionError("Traefik routes nothing")


@contextmanager
def running(command: list[str], started_line: str, **environment: str) -> Iterator[None]:
    """Run a program within the block, which begins when the program prints this line."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | environment,
    )
    assert process.stdout is not None
    output = []
    try:
        for line in process.stdout:
            output.append(line)
            if started_line in line:
                break
        else:
            raise AssertionError(f"{command[0]} ended:\n{''.join(output)}")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=30)


def documented(page: str, users: str, kind: str = "nginx", upstream: str = "") -> str:
    """Return the configuration in a page of the docs, with these servers in it."""
    block = re.search(rf"```{kind}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert block is not None
    written = block[1].replace("users-service:5000", urlsplit(users).netloc)
    return written.replace("upstream.internal:8000", upstream)
