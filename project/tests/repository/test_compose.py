"""The compose files, and their nginx configuration in front of real servers."""

import ipaddress
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar
from unittest import TestCase

import pytest
import yaml

from project.tests.base import BaseTestCase
from project.tests.support import databases, image, proxies, servers
from project.tests.support.paths import ROOT
from project.tests.support.postgres import free_port
from project.tests.utils import OverHTTP

FOLDER = ROOT / "deploy" / "compose"
NGINX_CONF = FOLDER / "nginx.conf"
FILES = (FOLDER / "compose.yml", ROOT / "docker-compose.yml")
SQL = ROOT / "deploy" / "postgresql"


def services(file: Path) -> dict[str, Any]:
    """Return the services of a compose file."""
    found: dict[str, Any] = yaml.safe_load(file.read_text())["services"]
    return found


def settings(file: Path) -> dict[str, str]:
    """Return the environment of the service."""
    found: dict[str, str] = services(file)["users-service"]["environment"]
    return found


def seconds(duration: str) -> int:
    """Return a duration in a compose file, in seconds."""
    return int(duration.removesuffix("s"))


@pytest.mark.any_database
class TestCompose(TestCase):
    """Rules that the schema of compose files cannot check."""

    def setUp(self) -> None:
        self.services = services(FOLDER / "compose.yml")
        self.service = self.services["users-service"]
        self.proxy = self.services["users-proxy"]

    def test_the_image_reads_every_variable(self) -> None:
        for file in FILES:
            for name in ("users-service", "users-migration", "users-purge"):
                environment = services(file)[name]["environment"]
                self.assertLessEqual(set(environment), image.VARIABLES)
                self.assertLessEqual(image.REQUIRED, set(environment))

    def test_the_grace_period_covers_the_shutdown(self) -> None:
        longest = image.max_shutdown_seconds(self.service["environment"])
        self.assertGreater(seconds(self.service["stop_grace_period"]), longest)

    def test_the_database_accepts_the_connections_of_all_servers_and_one_more(self) -> None:
        (accepted,) = re.findall(r"max_connections=(\d+)", self.services["users-db"]["command"][-1])
        workers = self.service["environment"]["WEB_CONCURRENCY"]
        opened = workers * image.CONNECTIONS_A_WORKER * (self.service["deploy"]["replicas"] + 1)
        self.assertGreaterEqual(int(accepted), opened + image.RESERVED)

    def test_the_docs_have_the_number_of_connections_of_a_worker(self) -> None:
        page = (ROOT / "docs" / "scaling.md").read_text()
        each, reserved = image.CONNECTIONS_A_WORKER, image.RESERVED
        self.assertIn(f"(servers + 1) × workers × {each} + commands + {reserved}\n", page)
        workers, replicas = 2, self.service["deploy"]["replicas"]
        self.assertIn(f"(3 + 1) × 2 × {each} = {(replicas + 1) * workers * each}, and one", page)

    def test_there_are_not_more_hashing_threads_than_processors(self) -> None:
        environment = self.service["environment"]
        threads = environment["HASH_THREADS"] * environment["WEB_CONCURRENCY"]
        self.assertLessEqual(threads, float(self.service["deploy"]["resources"]["limits"]["cpus"]))

    def test_only_the_proxy_is_trusted(self) -> None:
        address = self.proxy["networks"]["inside"]["ipv4_address"]
        self.assertEqual(self.service["environment"]["TRUSTED_PROXIES"], address)
        network = yaml.safe_load((FOLDER / "compose.yml").read_text())["networks"]["inside"]
        (pool,) = network["ipam"]["config"]
        self.assertIn(ipaddress.ip_address(address), ipaddress.ip_network(pool["subnet"]))
        self.assertNotIn(ipaddress.ip_address(address), ipaddress.ip_network(pool["ip_range"]))

    def test_only_the_proxy_is_reachable_from_outside(self) -> None:
        published = [name for name, service in self.services.items() if "ports" in service]
        self.assertEqual(published, ["users-proxy"])
        outside = [name for name, one in self.services.items() if "edge" in one["networks"]]
        self.assertEqual(outside, ["users-proxy"])

    def test_the_servers_reach_a_mail_server(self) -> None:
        networks = yaml.safe_load((FOLDER / "compose.yml").read_text())["networks"]
        has_route = {
            name for name, network in networks.items() if not (network or {}).get("internal")
        }
        self.assertEqual(has_route, {"edge", "outside"})
        joined = [name for name, one in self.services.items() if "outside" in one["networks"]]
        self.assertEqual(joined, ["users-service"])

    def test_mail_is_off_until_it_is_set_up(self) -> None:
        for file in FILES:
            environment = {
                name: settings(file)[name] for name in ("MAIL_URL", "MAIL_FROM", "FRONTEND_URL")
            }
            self.assertEqual(environment, {name: f"${{{name}:-}}" for name in environment})

    def test_the_proxy_reads_the_configuration_and_listens_on_its_published_port(self) -> None:
        source, target, _ = self.proxy["volumes"][0].split(":")
        self.assertEqual((FOLDER / source, target), (NGINX_CONF, "/etc/nginx/nginx.conf"))
        (port,) = re.findall(r"listen (\d+);", NGINX_CONF.read_text())
        self.assertEqual(self.proxy["ports"], [f"5001:{port}"])
        name, to = re.findall(r"server ([\w-]+):(\d+) resolve", NGINX_CONF.read_text())[0]
        self.assertIn(name, self.services)
        self.assertIn(f"EXPOSE {to}\n", image.DOCKERFILE)

    def test_containers_have_no_unnecessary_privileges(self) -> None:
        for name, service in self.services.items():
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertEqual(service["security_opt"], ["no-new-privileges:true"])
            self.assertEqual(service.get("read_only", False), name != "users-db")
            self.assertEqual("cap_add" in service, name == "users-db")

    def test_the_service_connects_as_a_role_that_the_database_creates(self) -> None:
        for file in FILES:
            database, url = services(file)["users-db"], settings(file)["DATABASE_URL"]
            self.assertRegex(
                url, r"^postgres://users:\$\{USERS_DB_PASSWORD:.*@users-db:5432/users$"
            )
            mounted = [volume.split(":") for volume in database["volumes"][1:]]
            sources = [(file.parent / source).resolve() for source, _, _ in mounted]
            self.assertEqual(sources, [SQL / "role.sql", SQL / "superuser.sql"])
            targets = [
                f"/docker-entrypoint-initdb.d/{n}-{at.name}" for n, at in enumerate(sources, 1)
            ]
            self.assertEqual([target for _, target, _ in mounted], targets)
            self.assertIn("USERS_DB_PASSWORD", database["environment"])

    def test_expired_rows_are_purged_every_day(self) -> None:
        for file in FILES:
            purge = services(file)["users-purge"]
            *_, script = purge["command"]
            self.assertEqual(script, "while python manage.py purge; do sleep 86400; done")
            self.assertEqual((purge["restart"], purge["init"]), ("unless-stopped", True))

    def test_without_a_proxy_only_this_machine_can_connect(self) -> None:
        published = {
            name: service["ports"]
            for name, service in services(FILES[1]).items()
            if "ports" in service
        }
        self.assertEqual(published, {"users-service": ["127.0.0.1:5001:5000"]})

    def test_every_image_has_a_version(self) -> None:
        named = [service["image"] for service in self.services.values() if "image" in service]
        for name in named:
            self.assertRegex(name, r"^[a-z]+:[0-9]")

    def test_the_health_check_requests_an_existing_route(self) -> None:
        (path,) = re.findall(r":5000(/[\w/]+)'", self.service["healthcheck"]["test"][-1])
        self.assertEqual(path, "/health/ready")
        self.assertIn(path, image.paths())


class Breaking(BaseHTTPRequestHandler):
    """Records requests, and closes the connection without a response."""

    received: ClassVar[list[str]] = []

    def do_POST(self) -> None:  # the library's name
        """Record the request and close the connection."""
        self.received.append(self.path)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.mark.processes
@pytest.mark.any_database
class TestNginxConf(BaseTestCase):
    """The configuration file itself, in front of real servers."""

    def nginx_before(self, *urls: str) -> OverHTTP:
        """Run nginx in front of these servers; return a client of it."""
        return OverHTTP(self.enterContext(proxies.nginx_of(NGINX_CONF, urls)))

    def serve(self) -> str:
        """Run a server that trusts nginx; return its URL."""
        database = databases.new_database()
        self.app = databases.new_app(database)
        self.add_user()
        settings = {"TRUSTED_PROXIES": "127.0.0.1", "METRICS_TOKEN": "0" * 64}
        return self.enterContext(servers.running("granian", database, **settings))

    def test_an_unreachable_server_is_skipped(self) -> None:
        balanced = self.nginx_before(self.serve(), f"http://127.0.0.1:{free_port()}")
        statuses = [balanced.login().status for _ in range(6)]
        self.assertEqual(statuses, [200] * 6)

    def test_the_client_address_is_that_of_the_connection_to_nginx(self) -> None:
        balanced = self.nginx_before(self.serve())
        forged = {"X-Forwarded-For": "198.51.100.9", "X_Forwarded_For": "198.51.100.9"}
        payload = {"email": "michael@example.com", "password": "greaterthaneight"}
        token = balanced.call("POST", "/auth/login", payload, **forged).body["auth_token"]
        (session,) = balanced.get("/auth/sessions", token).body["data"]["sessions"]
        self.assertEqual(session["address"], "127.0.0.1")

    def test_nginx_does_not_pass_on_metrics(self) -> None:
        url = self.serve()
        self.assertEqual(OverHTTP(url).get("/metrics").status, 401)
        self.assertEqual(self.nginx_before(url).get("/metrics").status, 404)

    def test_a_post_is_not_sent_twice(self) -> None:
        self.addCleanup(Breaking.received.clear)
        urls = []
        for _ in range(2):
            server = self.enterContext(ThreadingHTTPServer(("127.0.0.1", 0), Breaking))
            Thread(target=server.serve_forever).start()
            self.addCleanup(server.shutdown)
            urls.append(f"http://127.0.0.1:{server.server_port}")
        balanced = self.nginx_before(*urls)
        self.assertEqual(balanced.call("POST", "/auth/login", {}).status, 502)
        self.assertEqual(Breaking.received, ["/auth/login"])
