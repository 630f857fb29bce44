"""Forward auth and the client's address for real: nginx with the configuration of the docs."""

import http.client
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from project.tests import databases, servers
from project.tests.base import BaseTestCase
from project.tests.postgres import free_port
from project.tests.utils import PASSWORD, OverHTTP

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
DOCS = servers.ROOT / "docs"
FIELDS = ("X-Auth-User-Id", "X-Auth-Username", "X-Auth-Email", "X-Auth-Admin")
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
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""


class Upstream(BaseHTTPRequestHandler):
    """Answers what it was told of the caller."""

    def do_GET(self) -> None:  # the name is the library's
        """Answer the fields as JSON, each with every value that came."""
        told = {name: self.headers.get_all(name, []) for name in FIELDS}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def upstream() -> Iterator[str]:
    """Serve a small service behind the proxy; yield its host and port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Upstream) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@contextmanager
def nginx(locations: str, folder: Path) -> Iterator[str]:
    """Run nginx with these locations; yield its URL."""
    if NGINX is None:
        if "CI" in os.environ:
            pytest.fail("nginx is not installed, and this is CI")
        pytest.skip("NGINX IS NOT INSTALLED: forward auth is not tested behind a proxy")
    port = free_port()
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, port=port, locations=locations))
    process = subprocess.Popen(
        [NGINX, "-e", "stderr", "-c", str(file), "-p", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if "start worker process" in line:
                break
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate(timeout=30)


def documented(page: str, users: str) -> str:
    """Return the locations that a page of the docs shows, with the service's real URL in them."""
    block = re.search(r"```nginx\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert block is not None
    return block[1].replace("users-service:5000", urlsplit(users).netloc)


@pytest.mark.any_database
class TestNginx(BaseTestCase):
    """As the docs say."""

    def setUp(self) -> None:
        database = databases.new_database()
        self.app = databases.new_app(database)
        users = self.enterContext(servers.running("granian", database))
        behind = self.enterContext(upstream())
        locations = documented("other-services.md", users)
        locations = locations.replace("upstream.internal:8000", behind)
        folder = databases.folder() / "nginx"
        folder.mkdir()
        self.caller = OverHTTP(users)
        self.proxy = OverHTTP(self.enterContext(nginx(locations, folder)))

    def test_the_upstream_is_told_whose_a_request_is_by_the_service_alone(self) -> None:
        user_id = self.add_user("名", "ada@example.com")
        token = self.add_token(user_id)
        forged = dict.fromkeys(FIELDS, "forged")
        told = self.proxy.get("/anything?x=1", token, **forged)
        self.assertEqual(told.status, 200)
        self.assertEqual(
            told.body,
            {
                "X-Auth-User-Id": [str(user_id)],
                "X-Auth-Username": ["%E5%90%8D"],
                "X-Auth-Email": ["ada@example.com"],
                "X-Auth-Admin": ["false"],
            },
        )
        refused = self.proxy.get("/anything", **forged)
        self.assertEqual(refused.status, 401)
        self.assertEqual(refused.headers["WWW-Authenticate"], 'Bearer realm="users"')
        self.assertEqual(self.proxy.get("/_users_forward", token).status, 404)
        self.caller.logout(token)
        refused = self.proxy.get("/anything", token)
        self.assertEqual(refused.status, 401)
        self.assertIn('error="invalid_token"', refused.headers["WWW-Authenticate"])


@pytest.mark.any_database
class TestClientAddress(BaseTestCase):
    """The server that is shipped, behind nginx as the docs set it up."""

    def setUp(self) -> None:
        database = databases.new_database()
        self.app = databases.new_app(database)
        users = self.enterContext(servers.running("granian", database, TRUSTED_PROXIES="127.0.0.1"))
        folder = databases.folder() / uuid4().hex
        folder.mkdir()
        self.proxy = urlsplit(self.enterContext(nginx(documented("deployment.md", users), folder)))
        self.add_user()

    def test_the_address_is_the_one_that_nginx_saw_whatever_the_client_says(self) -> None:
        for name in ("X-Forwarded-For", "X_Forwarded_For", "X-Forwarded_For", "X_Forwarded-For"):
            self.assertEqual(self.address_kept("127.0.0.9", name), "127.0.0.9")

    def address_kept(self, source: str, name: str) -> str:
        """Log in from this address, with an invented one in the field; return what is kept."""
        connection = http.client.HTTPConnection(
            str(self.proxy.hostname), self.proxy.port, 30, source_address=(source, 0)
        )
        body = json.dumps({"email": "michael@example.com", "password": PASSWORD})
        fields = {"Content-Type": "application/json", name: "198.51.100.9"}
        with closing(connection):
            connection.request("POST", "/auth/login", body, fields)
            token = json.loads(connection.getresponse().read())["auth_token"]
            connection.request(
                "GET", "/auth/sessions", headers={"Authorization": f"Bearer {token}"}
            )
            listed = json.loads(connection.getresponse().read())["data"]["sessions"]
        return str(next(session["address"] for session in listed if session["current"]))
