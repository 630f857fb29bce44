"""The client's address behind proxies, and the networks that rate limits count as one client."""

from typing import ClassVar
from unittest import TestCase

import pytest

from project.models import Session
from project.security.addresses import MAX_HOPS, UNKNOWN, client_address, network
from project.settings import parsers
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.utils import InProcess

PROXY = "10.0.0.1"
TRUSTED = "10.0.0.0/8, fd00::/8, fe80::/10"
CLIENT = "203.0.113.7"
SPOOFED = "198.51.100.9"

# Peer, header fields, trusted networks, and the expected client.
CHAINS: tuple[tuple[str, tuple[str, ...], str, str], ...] = (
    # No proxy is trusted, or not this one.
    (CLIENT, (), "", CLIENT),
    (CLIENT, (SPOOFED,), "", CLIENT),
    (PROXY, (SPOOFED,), "", PROXY),
    (CLIENT, (SPOOFED,), TRUSTED, CLIENT),
    (CLIENT, (f"{SPOOFED}, {PROXY}",), TRUSTED, CLIENT),
    (PROXY, (SPOOFED,), "10.0.0.2", PROXY),
    # A trusted proxy.
    (PROXY, (), TRUSTED, PROXY),
    (PROXY, (CLIENT,), TRUSTED, CLIENT),
    (PROXY, (CLIENT,), PROXY, CLIENT),
    (PROXY, (CLIENT,), "192.168.0.0/16,10.0.0.1/32", CLIENT),
    (PROXY, (CLIENT,), "0.0.0.0/1", CLIENT),
    # The client can write everything to the left of its address.
    (PROXY, (f"{SPOOFED}, {CLIENT}",), TRUSTED, CLIENT),
    (PROXY, (f"{SPOOFED},{CLIENT}",), TRUSTED, CLIENT),
    (PROXY, (f"{PROXY}, {CLIENT}",), TRUSTED, CLIENT),
    (PROXY, (f"garbage, , {CLIENT}",), TRUSTED, CLIENT),
    (PROXY, (f"{SPOOFED}, {CLIENT}, 10.0.0.3, 10.0.0.2",), TRUSTED, CLIENT),
    # Several fields form one chain, in their order.
    (PROXY, (SPOOFED, CLIENT), TRUSTED, CLIENT),
    (PROXY, (SPOOFED, f"{CLIENT}, 10.0.0.3", "10.0.0.2"), TRUSTED, CLIENT),
    (PROXY, (CLIENT, "10.0.0.2"), TRUSTED, CLIENT),
    # All are trusted: the leftmost is the client.
    (PROXY, ("10.0.0.3, 10.0.0.2",), TRUSTED, "10.0.0.3"),
    (PROXY, ("10.0.0.3", "10.0.0.2"), TRUSTED, "10.0.0.3"),
    # An invalid address ends the chain; the proxy that appended it counts as the client.
    (PROXY, ("unknown",), TRUSTED, PROXY),
    (PROXY, (f"{CLIENT}, unknown",), TRUSTED, PROXY),
    (PROXY, (f"{CLIENT}, _hidden, 10.0.0.2",), TRUSTED, "10.0.0.2"),
    (PROXY, ("\xff,,:",), TRUSTED, PROXY),
    (PROXY, ("1.2.3.4.5",), TRUSTED, PROXY),
    (PROXY, ("1.2.3.256",), TRUSTED, PROXY),
    (PROXY, ("01.2.3.4",), TRUSTED, PROXY),
    (PROXY, ("1.2.3.4:port",), TRUSTED, PROXY),
    (PROXY, ("1.2.3.4%eth0",), TRUSTED, PROXY),
    (PROXY, ("1.2.3.4/8",), TRUSTED, PROXY),
    (PROXY, ("[1.2.3.4]",), TRUSTED, PROXY),
    (PROXY, ('"1.2.3.4',), TRUSTED, PROXY),
    (PROXY, ("[2001:db8::1",), TRUSTED, PROXY),
    (PROXY, ("2001:db8::1]",), TRUSTED, PROXY),
    (PROXY, ("2001:db8:::1",), TRUSTED, PROXY),
    (PROXY, ("٣.2.3.4",), TRUSTED, PROXY),
    (PROXY, ("\xa0203.0.113.7",), TRUSTED, PROXY),
    (PROXY, (f"for={CLIENT}",), TRUSTED, PROXY),
    (PROXY, ("proxy.example.com",), TRUSTED, PROXY),
    (PROXY, (":" * 60_000,), TRUSTED, PROXY),
    # An empty element hides the client: granian empties a field with a non-ASCII byte.
    (PROXY, ("",), TRUSTED, UNKNOWN),
    (PROXY, (" \t",), TRUSTED, UNKNOWN),
    (PROXY, (f"{CLIENT},",), TRUSTED, UNKNOWN),
    (PROXY, (f"{CLIENT}, , 10.0.0.2",), TRUSTED, UNKNOWN),
    (PROXY, (CLIENT, "", "10.0.0.2"), TRUSTED, UNKNOWN),
    (PROXY, (f", {CLIENT}",), TRUSTED, CLIENT),
    (CLIENT, ("",), TRUSTED, CLIENT),
    (CLIENT, ("",), "", CLIENT),
    # Notations of proxies.
    (PROXY, (f"{CLIENT}:49152",), TRUSTED, CLIENT),
    (PROXY, (f" \t{CLIENT}\t ",), TRUSTED, CLIENT),
    (PROXY, (f'"{CLIENT}:80"',), TRUSTED, CLIENT),
    (PROXY, (f"{CLIENT}, 10.0.0.2:8080",), TRUSTED, CLIENT),
    (PROXY, ("2001:DB8:0::0001",), TRUSTED, "2001:db8::1"),
    (PROXY, ("[2001:db8::1]",), TRUSTED, "2001:db8::1"),
    (PROXY, ("[2001:db8::1]:443",), TRUSTED, "2001:db8::1"),
    (PROXY, ('"[2001:db8::1]:443"',), TRUSTED, "2001:db8::1"),
    (PROXY, ("2001:db8::1%eth0",), TRUSTED, "2001:db8::1"),
    (PROXY, ("[2001:db8::1%25eth0]:443",), TRUSTED, "2001:db8::1"),
    # IPv6 proxies.
    ("fd00::1", (f"{SPOOFED}, {CLIENT}, fd00::2",), TRUSTED, CLIENT),
    ("fe80::1%eth0", ("2001:db8::1",), TRUSTED, "2001:db8::1"),
    ("2001:db8::5", (SPOOFED,), TRUSTED, "2001:db8::5"),
    # An IPv4 address within an IPv6 address counts as IPv4 everywhere.
    (f"::ffff:{PROXY}", (CLIENT,), TRUSTED, CLIENT),
    (f"::FFFF:{PROXY}", (f"{CLIENT}, ::ffff:10.0.0.2",), TRUSTED, CLIENT),
    (f"::ffff:{CLIENT}", (SPOOFED,), TRUSTED, CLIENT),
    (PROXY, (f"::ffff:{CLIENT}",), TRUSTED, CLIENT),
    (PROXY, (f"[::ffff:{CLIENT}]:80",), TRUSTED, CLIENT),
    (PROXY, (CLIENT,), "::ffff:10.0.0.0/104", CLIENT),
    (f"::ffff:{PROXY}", (CLIENT,), "::ffff:10.0.0.1", CLIENT),
    # A peer without an address is never trusted.
    ("", (), TRUSTED, UNKNOWN),
    ("", (CLIENT,), TRUSTED, UNKNOWN),
    ("/run/users.sock", (CLIENT,), TRUSTED, UNKNOWN),
    ("unix:", (CLIENT,), "", UNKNOWN),
)

NETWORKS = (
    (CLIENT, CLIENT),
    (f"::ffff:{CLIENT}", CLIENT),
    ("2001:db8:1:2::", "2001:db8:1:2::/64"),
    ("2001:DB8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
    ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
    ("::1", "::/64"),
    ("fe80::1%eth0", "fe80::/64"),
    (f"64:ff9b::{CLIENT}", CLIENT),
    ("64:ff9b:0:0:1::1", "64:ff9b::/64"),
    ("2002:cb00:7107::1", CLIENT),
    ("2002:cb00:7107:ffff::1", CLIENT),
    ("", UNKNOWN),
    (UNKNOWN, UNKNOWN),
    ("/run/users.sock", UNKNOWN),
    ("1.2.3.4.5", UNKNOWN),
    ("\0", UNKNOWN),
)


@pytest.mark.any_database
class TestAddresses(TestCase):
    """The tables above, row by row."""

    def test_the_client_is_the_first_untrusted_address(self) -> None:
        for peer, chain, trusted, expected in CHAINS:
            with self.subTest(peer=peer, chain=str(chain)[:60], trusted=trusted):
                found = client_address(peer, chain, parsers.networks(trusted))
                self.assertEqual(found, expected)
                self.assertLessEqual(len(found), Session.address.type.length)

    def test_addresses_of_one_network_count_as_one_client(self) -> None:
        for address, expected in NETWORKS:
            with self.subTest(address):
                self.assertEqual(network(address), expected)

    def test_a_chain_is_read_up_to_the_maximum_of_hops(self) -> None:
        hops = [f"10.{number >> 8}.{number & 255}.9" for number in range(10_000)]
        trusted = parsers.networks(TRUSTED)
        for chain in ([",".join(hops)], hops):
            self.assertEqual(client_address(PROXY, chain, trusted), hops[-MAX_HOPS])


class ProxyCase(BaseTestCase):
    """Logs in with header fields of a proxy."""

    def setUp(self) -> None:
        super().setUp()
        self.add_user()

    def recorded_address(self, **headers: str) -> str:
        """Log in with these header fields; return the recorded address of the session."""
        payload = {"email": "michael@example.com", "password": "greaterthaneight"}
        token = self.caller.call("POST", "/auth/login", payload, **headers).body["auth_token"]
        listed = self.caller.get("/auth/sessions", token).body["data"]["sessions"]
        return str(next(session["address"] for session in listed if session["current"]))


class TestTrustedProxy(ProxyCase):
    """The recorded address if the test's own address is a trusted proxy's."""

    overrides: ClassVar = {"TRUSTED_PROXIES": "127.0.0.0/8, 10.0.0.0/8"}

    def test_a_session_records_the_clients_address(self) -> None:
        forwarded = {"X-Forwarded-For": f"{SPOOFED}, [2001:DB8::0001%eth0]:80, 10.0.0.9"}
        with self.assertNoLogs("project.http.client_address"):
            self.assertEqual(self.recorded_address(**forwarded), "2001:db8::1")

    def test_other_fields_are_not_read(self) -> None:
        for name in ("Forwarded", "X-Real-IP", "Client-IP", "True-Client-IP", "CF-Connecting-IP"):
            self.assertEqual(self.recorded_address(**{name: CLIENT}), "127.0.0.1")
        self.assertEqual(self.recorded_address(Forwarded=f"for={CLIENT}"), "127.0.0.1")


class TestEmptyField(ProxyCase):
    """A trusted proxy that sends an empty X-Forwarded-For."""

    def setUp(self) -> None:
        super().setUp()
        url = self.app.config["DATABASE_TEST_URL"].render_as_string(hide_password=False)
        self.app = databases.bare_app(url, TRUSTED_PROXIES="127.0.0.1")
        self.caller = InProcess(self.app.test_client())

    def test_the_client_is_unknown_and_one_warning_is_logged(self) -> None:
        with self.assertLogs("project.http.client_address") as logs:
            for chain in ("", f"{SPOOFED}, ", ""):
                self.assertEqual(self.recorded_address(**{"X-Forwarded-For": chain}), UNKNOWN)
        self.assertEqual(len(logs.output), 1)
        self.assertRegex(
            logs.output[0],
            "a request from 127.0.0.1, which TRUSTED_PROXIES lists, came with an empty "
            "X-Forwarded-For.* have the outermost proxy overwrite the field",
        )

    def test_without_the_field_the_client_is_the_proxy_and_no_warning_is_logged(self) -> None:
        with self.assertNoLogs("project.http.client_address"):
            self.assertEqual(self.recorded_address(), "127.0.0.1")


class TestUntrustedProxy(ProxyCase):
    """Requests from proxies that are not trusted."""

    def setUp(self) -> None:
        super().setUp()
        # A new app, which has logged no warning yet.
        url = self.app.config["DATABASE_TEST_URL"].render_as_string(hide_password=False)
        self.app = databases.bare_app(url)
        self.caller = InProcess(self.app.test_client())

    def test_one_warning_names_the_setting(self) -> None:
        with self.assertLogs("project.http.client_address") as logs:
            for _ in range(3):
                recorded_address = self.recorded_address(**{"X-Forwarded-For": f"{CLIENT}, theirs"})
                self.assertEqual(recorded_address, "127.0.0.1")
        self.assertEqual(len(logs.output), 1)
        self.assertRegex(
            logs.output[0],
            "a request from 127.0.0.1 came with X-Forwarded-For, and TRUSTED_PROXIES is empty: "
            ".*set TRUSTED_PROXIES .* counts as 127.0.0.1$",
        )
        self.assertNotIn("theirs", logs.output[0])

    def test_the_field_forwarded_is_warned_about_too(self) -> None:
        with self.assertLogs("project.http.client_address") as logs:
            self.recorded_address(Forwarded=f"for={CLIENT}")
        self.assertRegex(logs.output[0], "came with Forwarded,.* have it send X-Forwarded-For")

    def test_no_warning_is_logged_without_a_proxy(self) -> None:
        with self.assertNoLogs("project.http.client_address"):
            self.assertEqual(self.recorded_address(), "127.0.0.1")

    def test_all_clients_of_a_unix_socket_count_as_one(self) -> None:
        self.app.config["TRUSTED_PROXIES"] = parsers.networks(TRUSTED)
        client = self.app.test_client()
        client.environ_base["REMOTE_ADDR"] = ""
        self.caller = InProcess(client)
        with self.assertLogs("project.http.client_address") as logs:
            self.assertEqual(self.recorded_address(**{"X-Forwarded-For": CLIENT}), UNKNOWN)
        self.assertRegex(logs.output[0], "Unix socket.* listen on a port .* counts as unknown$")
