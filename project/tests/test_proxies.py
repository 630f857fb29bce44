"""Forward auth and the client's address behind real proxies, as the docs set them up."""

import http.client
import json
from contextlib import AbstractContextManager, closing
from urllib.parse import urlsplit

import pytest

from project.tests import databases, proxies, servers
from project.tests.base import BaseTestCase
from project.tests.utils import PASSWORD, OverHTTP

FIELDS = ("X-Auth-User-Id", "X-Auth-Username", "X-Auth-Email", "X-Auth-Admin")


class ForwardAuthCase(BaseTestCase):
    """What every proxy has to do."""

    __test__ = False

    def setUp(self) -> None:
        database = databases.new_database()
        self.app = databases.new_app(database)
        users = self.enterContext(servers.running("granian", database))
        behind = self.enterContext(proxies.upstream())
        self.caller = OverHTTP(users)
        self.proxy = OverHTTP(self.enterContext(self.proxied(users, behind)))
        self.user_id = self.add_user("名", "ada@example.com")
        self.token = self.add_token(self.user_id)

    def proxied(self, users: str, behind: str) -> AbstractContextManager[str]:
        """Run the proxy before the upstream."""
        raise AssertionError("every kind has its own")

    def test_the_upstream_is_told_whose_a_request_is_by_the_service_alone(self) -> None:
        hyphens = dict.fromkeys(FIELDS, "forged")
        underscores = {name.replace("-", "_"): "forged" for name in FIELDS}
        for forged in ({}, hyphens, underscores, hyphens | underscores):
            told = self.proxy.get("/anything?x=1", self.token, **forged)
            self.assertEqual(told.status, 200)
            self.assertEqual(
                {name: told.body.get(name) for name in FIELDS},
                {
                    "X-Auth-User-Id": [str(self.user_id)],
                    "X-Auth-Username": ["%E5%90%8D"],
                    "X-Auth-Email": ["ada@example.com"],
                    "X-Auth-Admin": ["false"],
                },
            )

    def test_who_shows_no_good_token_is_stopped_with_the_challenge(self) -> None:
        refused = self.proxy.get("/anything", **dict.fromkeys(FIELDS, "forged"))
        self.assertEqual(refused.status, 401)
        self.assertEqual(refused.headers["WWW-Authenticate"], 'Bearer realm="users"')
        self.caller.logout(self.token)
        refused = self.proxy.get("/anything", self.token)
        self.assertEqual(refused.status, 401)
        self.assertIn('error="invalid_token"', refused.headers["WWW-Authenticate"])


@pytest.mark.any_database
class TestNginx(ForwardAuthCase):
    """`auth_request`."""

    __test__ = True

    def proxied(self, users: str, behind: str) -> AbstractContextManager[str]:
        """Run nginx."""
        locations = proxies.documented("other-services.md", users)
        return proxies.nginx(locations.replace("upstream.internal:8000", behind))

    def test_the_way_to_the_service_is_not_for_clients(self) -> None:
        self.assertEqual(self.proxy.get("/_users_forward", self.token).status, 404)


@pytest.mark.any_database
class TestCaddy(ForwardAuthCase):
    """`forward_auth`."""

    __test__ = True

    def proxied(self, users: str, behind: str) -> AbstractContextManager[str]:
        """Run Caddy."""
        site = proxies.documented("other-services.md", users, "caddy")
        return proxies.caddy(site.replace("upstream.internal:8000", behind))


@pytest.mark.any_database
class TestTraefik(ForwardAuthCase):
    """`ForwardAuth`."""

    __test__ = True

    def proxied(self, users: str, behind: str) -> AbstractContextManager[str]:
        """Run Traefik."""
        static, dynamic = (
            proxies.documented("other-services.md", users, f"yaml\n# {name}")
            for name in ("traefik.yaml", "services.yaml")
        )
        return proxies.traefik(static, dynamic.replace("upstream.internal:8000", behind))


@pytest.mark.any_database
class TestClientAddress(BaseTestCase):
    """The server that is shipped, behind nginx as the docs set it up."""

    def setUp(self) -> None:
        database = databases.new_database()
        self.app = databases.new_app(database)
        users = self.enterContext(servers.running("granian", database, TRUSTED_PROXIES="127.0.0.1"))
        locations = proxies.documented("deployment.md", users)
        self.proxy = urlsplit(self.enterContext(proxies.nginx(locations)))
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
