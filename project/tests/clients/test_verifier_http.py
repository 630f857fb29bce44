"""The verifier's HTTP requests: limited in time, and to a verified server only."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from users_client import ServiceUnavailable, service
from users_client.service import Service

from project.tests.support import databases
from project.tests.support.fake_service import EC, NOON, STATUS, FakeServiceCase


class TestService(FakeServiceCase):
    """Requests to servers that do not respond properly."""

    def get(self, url: str) -> float:
        """Assert that a request fails; return the seconds that it took."""
        began_at = time.monotonic()
        reached = Service(url)
        self.addCleanup(reached.close)
        with self.assertRaises(ServiceUnavailable):
            reached.get(STATUS)
        return time.monotonic() - began_at

    @contextmanager
    def dripping(self, silence: float) -> Iterator[str]:
        """Serve an endless response, a byte at a time."""
        over = threading.Event()

        def drip(listener: socket.socket) -> None:
            with listener.accept()[0] as client, suppress(OSError):
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
                while not over.wait(silence):
                    client.sendall(b" ")

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=drip, args=(listener,))
            thread.start()
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            over.set()
            thread.join()

    def test_a_silent_server_times_out(self) -> None:
        with patch.object(service, "READ_TIMEOUT", 0.1), self.dripping(20) as url:
            self.assertLess(self.get(url), 10)

    def test_a_slow_body_times_out(self) -> None:
        with patch.object(service, "MAX_BODY_TIME", 0.2), self.dripping(0.01) as url:
            self.assertLess(self.get(url), 10)

    def test_a_self_signed_certificate_is_rejected(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self_signed())
        handshakes: list[str] = []

        def shake(listener: socket.socket) -> None:
            try:
                context.wrap_socket(listener.accept()[0], server_side=True).close()
            except ssl.SSLError as error:
                handshakes.append(error.reason)

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=shake, args=(listener,))
            thread.start()
            self.get(f"https://127.0.0.1:{listener.getsockname()[1]}")
            thread.join()
        self.assertEqual(handshakes, ["TLSV1_ALERT_UNKNOWN_CA"])


def self_signed() -> Path:
    """Return the file of a self-signed certificate for 127.0.0.1 and its key."""
    key = EC.private_key
    assert key is not None
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOON - timedelta(days=400))
        .not_valid_after(NOON + timedelta(days=400))
        .add_extension(alternative, critical=False)
        .sign(key, SHA256())
    )
    file = databases.folder() / "self-signed.pem"
    file.write_bytes(EC.as_pem(private=True) + certificate.public_bytes(Encoding.PEM))
    return file
