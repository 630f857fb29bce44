"""Forward auth and the client's address behind real proxies, configured as in the docs."""

import http.client
import itertools
import json
import select
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from typing import ClassVar
from unittest import TestCase
from urllib.parse import SplitResult, urlsplit
from uuid import uuid4

import pytest
from flask import Flask

from project.clock import utcnow
from project.tests import utils
from project.tests.base import BaseTestCase
from project.tests.support import databases, proxies, servers
from project.tests.support.postgres import free_port
from project.tests.utils import PASSWORD, OverHTTP, Reply

pytestmark = pytest.mark.processes


PAGE = "other-services.md"
FIELDS = (
    "X-Auth-User-Id",
    "X-Auth-Username",
    "X-Auth-Email",
    "X-Auth-Email-Verified",
    "X-Auth-Admin",
)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str.lower,
    str.upper,
    lambda name: name.replace("-", "_"),
    lambda name: name.replace("-", "."),
    lambda name: name.replace("-", "_", 1),
    lambda name: name.replace("-", ".", 1),
)
MAX_CONNECTIONS = (
    ", ".join(FIELDS).lower(),
    *FIELDS,
    "close, X-Auth-User-Id",
    "keep-alive, x-auth-admin",
    "Authorization",
    "X-Auth-Admin, Upgrade",
    ",,X-Auth-Admin ,",
)
"""Values of `Connection` with which a client tries to make a proxy remove fields."""
INVENTED = "198.51.100.9"
SOURCE = "127.0.0.9"


def connection_from(source: str, url: SplitResult) -> http.client.HTTPConnection:
    """Return a connection from this address of the loopback interface."""
    return http.client.HTTPConnection(str(url.hostname), url.port, 30, source_address=(source, 0))


class ForwardAuthCase(BaseTestCase):
    """The requirements for every proxy."""

    __test__ = False
    status_during_outage: ClassVar[int]
    """The documented status while the service does not respond."""
    app_on_database: ClassVar[Flask]
    users: ClassVar[str]
    user_id: ClassVar[int]
    unverified_id: ClassVar[int]
    log: ClassVar[list[str]]
    proxy: ClassVar[OverHTTP]

    @classmethod
    def setUpClass(cls) -> None:
        """Run the service, an upstream and the proxy, for all tests of the class."""
        super().setUpClass()
        database = databases.new_database()
        cls.app_on_database = databases.new_app(database)
        settings = servers.environment(
            database, TRUSTED_PROXIES="127.0.0.1", EMAIL_VERIFICATION="required"
        )
        cls.users, cls.log = cls.enterClassContext(servers.started("granian", settings))
        upstream = cls.enterClassContext(proxies.upstream())
        cls.proxy = OverHTTP(cls.enterClassContext(cls.proxied(cls.users, upstream)))
        with cls.app_on_database.app_context():
            cls.user_id = utils.add_user("名", "ada@example.com", email_verified_at=utcnow()).id
            cls.unverified_id = utils.add_user().id

    def setUp(self) -> None:
        """Open a session."""
        self.app, self.caller = self.app_on_database, OverHTTP(self.users)
        self.token = self.add_token(self.user_id)

    @classmethod
    def proxied(cls, users: str, upstream: str) -> AbstractContextManager[str]:
        """Run the proxy in front of the upstream."""
        raise AssertionError("each subclass runs its own proxy")

    def assert_identified(self, response: Reply) -> None:
        """Assert that the upstream received the five fields of the service, each once."""
        self.assertEqual(response.status, 200)
        self.assertEqual(
            {name: value for name, value in response.body.items() if "auth" in name},
            {
                "x-auth-user-id": [str(self.user_id)],
                "x-auth-username": ["%E5%90%8D"],
                "x-auth-email": ["ada@example.com"],
                "x-auth-email-verified": ["true"],
                "x-auth-admin": ["false"],
            },
        )

    def test_the_upstream_receives_the_services_fields_and_no_token(self) -> None:
        self.assert_identified(self.proxy.get("/anything?x=1", self.token))

    def test_fields_of_the_client_are_removed_in_every_spelling(self) -> None:
        for spelled in SPELLINGS:
            forged = {spelled(name): "forged" for name in FIELDS}
            self.assert_identified(self.proxy.get("/", self.token, **forged))
        several = {spelled(name): "forged" for spelled in SPELLINGS[2:] for name in FIELDS}
        self.assert_identified(self.proxy.get("/", self.token, **several))

    def test_the_connection_field_removes_no_field_of_the_service(self) -> None:
        forged: tuple[dict[str, str], ...] = ({}, dict.fromkeys(FIELDS, "forged"))
        for value, fields in itertools.product(MAX_CONNECTIONS, forged):
            response = self.proxy.get("/", self.token, Connection=value, **fields)
            if response.status not in {400, 401}:
                self.assert_identified(response)
                self.assertNotIn("auth", str(response.body.get("connection")).lower())

    def test_a_request_without_a_valid_token_gets_401_with_the_challenge(self) -> None:
        rejected = self.proxy.get("/anything", **dict.fromkeys(FIELDS, "forged"))
        self.assertEqual(rejected.status, 401)
        self.assertEqual(rejected.headers["WWW-Authenticate"], 'Bearer realm="users"')
        self.caller.logout(self.token)
        rejected = self.proxy.get("/anything", self.token)
        self.assertEqual(rejected.status, 401)
        self.assertIn('error="invalid_token"', rejected.headers["WWW-Authenticate"])

    def test_a_user_with_an_unverified_address_gets_403(self) -> None:
        rejected = self.proxy.get("/anything", self.add_token(self.unverified_id))
        self.assertEqual(rejected.status, 403)

    def test_the_service_logs_the_address_of_the_connection_to_the_proxy(self) -> None:
        for spelled, named in itertools.product(SPELLINGS, ("close", "X-Forwarded-For")):
            request_id = uuid4().hex
            fields = {
                spelled("X-Forwarded-For"): INVENTED,
                "X-Request-ID": request_id,
                "Authorization": "Bearer no-token",
                "Connection": named,
            }
            with closing(connection_from(SOURCE, self.proxy.address)) as connection:
                connection.request("GET", "/", headers=fields)
                self.assertEqual(connection.getresponse().status, 401)
            self.assertIn(f"address={SOURCE} ", f"{self.line_of(request_id)} ")
        self.assertNotIn(INVENTED, "".join(self.log))

    def test_a_body_arrives_completely(self) -> None:
        response = self.proxy.post("/", {"text": "x" * 1000}, self.token)
        self.assert_identified(response)
        self.assertEqual(response.body["content-length"], ["1012"])

    def test_requests_are_rejected_while_the_service_does_not_respond(self) -> None:
        unreachable = f"http://127.0.0.1:{free_port()}"
        with proxies.upstream() as upstream, self.proxied(unreachable, upstream) as url:
            status = OverHTTP(url).get("/", self.token).status
        self.assertEqual(status, self.status_during_outage)

    def line_of(self, request_id: str) -> str:
        """Return the service's log line of a request."""
        for _ in range(500):
            for line in self.log:
                if request_id in line:
                    return line
            select.select([], [], [], 0.01)
        raise AssertionError("the service has logged no such request")


@pytest.mark.any_database
class TestNginx(ForwardAuthCase):
    """nginx with `auth_request`."""

    __test__ = True
    status_during_outage = 500

    @classmethod
    def proxied(cls, users: str, upstream: str) -> AbstractContextManager[str]:
        """Run nginx."""
        return proxies.nginx(proxies.documented(PAGE, users, "nginx", upstream))

    def test_clients_cannot_request_the_internal_location(self) -> None:
        self.assertEqual(self.proxy.get("/_users_forward", self.token).status, 404)


@pytest.mark.any_database
class TestCaddy(ForwardAuthCase):
    """Caddy with `forward_auth`, in Debian's version."""

    __test__ = True
    status_during_outage = 502
    program = proxies.DISTRIBUTIONS_CADDY

    @classmethod
    def proxied(cls, users: str, upstream: str) -> AbstractContextManager[str]:
        """Run Caddy."""
        return proxies.caddy(proxies.documented(PAGE, users, "caddy", upstream), cls.program)


@pytest.mark.any_database
class TestNewestCaddy(TestCaddy):
    """Caddy with `forward_auth`, in the newest version."""

    program = proxies.NEWEST_CADDY


@pytest.mark.any_database
class TestTraefik(ForwardAuthCase):
    """Traefik with `ForwardAuth`."""

    __test__ = True
    status_during_outage = 500

    @classmethod
    def proxied(cls, users: str, upstream: str) -> AbstractContextManager[str]:
        """Run Traefik."""
        static, dynamic = (
            proxies.documented(PAGE, users, f"yaml\n# {name}", upstream)
            for name in ("traefik.yaml", "services.yaml")
        )
        return proxies.traefik(static, dynamic)


@pytest.mark.any_database
class TestHAProxy(ForwardAuthCase):
    """HAProxy with a script in Lua."""

    __test__ = True
    status_during_outage = 503

    @classmethod
    def proxied(cls, users: str, upstream: str) -> AbstractContextManager[str]:
        """Run HAProxy."""
        configuration = proxies.documented(PAGE, users, "haproxy", upstream)
        return proxies.haproxy(configuration, proxies.documented(PAGE, users, "lua"))


@pytest.mark.any_database
class TestClientAddress(BaseTestCase):
    """granian behind nginx, configured as in the docs."""

    def setUp(self) -> None:
        database = databases.new_database()
        self.app = databases.new_app(database)
        users = self.enterContext(servers.running("granian", database, TRUSTED_PROXIES="127.0.0.1"))
        locations = proxies.documented("deployment.md", users)
        self.proxy = urlsplit(self.enterContext(proxies.nginx(locations)))
        self.add_user()

    def test_the_recorded_address_is_that_of_the_connection_to_nginx(self) -> None:
        for name in ("X-Forwarded-For", "X_Forwarded_For", "X-Forwarded_For", "X_Forwarded-For"):
            self.assertEqual(self.recorded_address(SOURCE, name), SOURCE)

    def recorded_address(self, source: str, name: str) -> str:
        """Log in from this address, with an invented one in the field; return the recorded one."""
        connection = connection_from(source, self.proxy)
        body = json.dumps({"email": "michael@example.com", "password": PASSWORD})
        fields = {"Content-Type": "application/json", name: INVENTED}
        with closing(connection):
            connection.request("POST", "/auth/login", body, fields)
            token = json.loads(connection.getresponse().read())["auth_token"]
            connection.request(
                "GET", "/auth/sessions", headers={"Authorization": f"Bearer {token}"}
            )
            listed = json.loads(connection.getresponse().read())["data"]["sessions"]
        return str(next(session["address"] for session in listed if session["current"]))


@pytest.mark.any_database
class TestLimits(TestCase):
    """nginx's limit on concurrent requests of one address, configured as in the docs."""

    def test_the_51st_concurrent_request_of_one_address_is_rejected(self) -> None:
        unreachable = f"http://127.0.0.1:{free_port()}"
        limits = proxies.documented("deployment.md", unreachable, "nginx\n# in the http block")
        url = urlsplit(self.enterContext(proxies.nginx_with(limits)))
        for _ in range(50):
            slow = self.enterContext(closing(connection_from(SOURCE, url)))
            slow.putrequest("POST", "/auth/login")
            slow.putheader("Content-Length", "2")
            slow.endheaders()
        self.assertEqual(self.status_from(SOURCE, url), 503)
        # nginx accepts the request, but has no server.
        self.assertEqual(self.status_from("127.0.0.1", url), 502)

    def status_from(self, source: str, url: SplitResult) -> int:
        """Return the status of a request from this address."""
        with closing(connection_from(source, url)) as connection:
            connection.request("GET", "/ping")
            return connection.getresponse().status
