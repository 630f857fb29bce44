"""The file of breached passwords: search on disk, and checks before its use."""

import hashlib
import math
import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import TestCase, mock

import pytest

from project import config
from project.config import ConfigError
from project.security.passwords import Policy, Weakness, breaches
from project.security.passwords.breaches import FileUnusable
from project.tests.base import BaseTestCase
from project.tests.support import databases
from project.tests.utils import InProcess

GOOD = "correct horse battery staple"


def sha1(password: str) -> str:
    """Return a password's hash in the format of the file."""
    return hashlib.sha1(password.encode()).hexdigest().upper()


def breached(number: int) -> str:
    """Return a password that the files of these tests contain."""
    return f"breached {number}"


def lines(count: int, digits: int = 40) -> list[str]:
    """Return sorted lines, with counts of different lengths."""
    hashes = sorted(sha1(breached(number))[:digits] for number in range(count))
    return [f"{digest}:{10 ** (place % 7)}" for place, digest in enumerate(hashes)]


class FileCase(TestCase):
    """Writes files of breached passwords."""

    def write(self, content: Iterable[str], end: str = "\n") -> str:
        """Write a file of these lines; return its path."""
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "breached.txt"
        path.write_bytes("".join(line + end for line in content).encode())
        return str(path)


@pytest.mark.any_database
class TestBreaches(FileCase):
    """Searches in usable files."""

    def assert_contains(self, path: str, count: int) -> None:
        """Assert that a file contains the first `count` passwords and no other."""
        for number in range(count):
            self.assertTrue(breaches.contain(breached(number), path), number)
            self.assertFalse(breaches.contain(breached(count + number), path), number)

    def test_every_line_of_every_kind_of_file_is_found(self) -> None:
        for count in (1, 2, 3, 50, 700):
            for end in ("\n", "\r\n"):
                path = self.write(lines(count), end)
                self.assertEqual(breaches.check_file(path), path)
                self.assert_contains(path, count)

    def test_prefixes_lower_case_and_an_unterminated_last_line_are_found(self) -> None:
        for digits in (10, 16, 39):
            self.assert_contains(breaches.check_file(self.write(lines(300, digits))), 300)
        hashes = [line.partition(":")[0].lower() for line in lines(300)]
        self.assert_contains(breaches.check_file(self.write(["\n".join(hashes)], end="")), 300)

    def test_mixed_case_is_found(self) -> None:
        mixed = [line.lower() if place % 2 else line for place, line in enumerate(lines(300))]
        self.assert_contains(breaches.check_file(self.write(mixed)), 300)

    def test_equal_prefixes_are_found(self) -> None:
        digest = sha1("wanted")[:10]
        path = self.write(["0" * 10] * 500 + [digest] * 900 + ["F" * 10] * 20)
        self.assertTrue(breaches.contain("wanted", breaches.check_file(path)))
        self.assertFalse(breaches.contain("not wanted", path))

    def test_a_password_is_searched_as_typed_and_normalized(self) -> None:
        typed, normalized = "ﬁve words of mine", "five words of mine"
        self.assertTrue(breaches.contain(typed, self.write([sha1(typed)])))
        self.assertTrue(breaches.contain(typed, self.write([sha1(normalized)])))
        self.assertFalse(breaches.contain(normalized, self.write([sha1(typed)])))

    def test_a_search_reads_little_of_a_large_file(self) -> None:
        path = self.write(lines(100_000))
        halvings = math.ceil(math.log2(Path(path).stat().st_size / breaches.PAGE))
        for number in range(0, 200_000, 20_000):
            with mock.patch.object(os, "pread", wraps=os.pread) as read:
                breaches.contain(breached(number), path)
            self.assertLessEqual(read.call_count, halvings + 3)
            self.assertLessEqual(max(call.args[1] for call in read.mock_calls), breaches.PAGE)

    def test_threads_can_search_concurrently(self) -> None:
        path = self.write(lines(2000))
        with ThreadPoolExecutor(16) as crowd:
            found = crowd.map(lambda number: breaches.contain(breached(number), path), range(4000))
        self.assertEqual([*found], [True] * 2000 + [False] * 2000)

    def test_a_file_can_be_replaced_by_renaming(self) -> None:
        path = self.write(lines(10))
        Path(self.write([sha1("a new one")])).rename(path)
        self.assertTrue(breaches.contain("a new one", path))

    def test_the_policy_searches_the_file(self) -> None:
        policy = Policy(8, "users", self.write([sha1(GOOD)]))
        self.assertEqual(policy.weaknesses(GOOD, "a", "a@b.c"), [Weakness.BREACHED])
        self.assertEqual(policy.weaknesses(GOOD + "!", "a", "a@b.c"), [])


@pytest.mark.any_database
class TestUnusableFiles(FileCase):
    """Files that cannot be searched, which are rejected at the start."""

    def assert_unusable(self, path: str, why: str) -> None:
        """Assert that a file is rejected for this reason."""
        with self.assertRaisesRegex(FileUnusable, why):
            breaches.check_file(path)

    def test_a_missing_file_is_rejected(self) -> None:
        self.assert_unusable("/nowhere/breached.txt", r"names no file \(/nowhere")
        self.assert_unusable("/tmp", r"names no file \(/tmp")
        fifo = str(Path(self.write([])).with_name("fifo"))
        os.mkfifo(fifo)
        self.assert_unusable(fifo, "names no file")

    def test_an_unreadable_file_is_rejected(self) -> None:
        with mock.patch.object(os, "pread", side_effect=OSError(5, "Input/output error")):
            self.assert_unusable(self.write(lines(9)), r"cannot be read \(.*: Input/output error\)")

    def test_malformed_lines_are_rejected(self) -> None:
        for content in (
            [],
            [""],
            ["hunter2"],
            [sha1("x")[:9]],
            [sha1("x") + "0"],
            [sha1("x") + ":"],
            [sha1("x") + ":1:2"],
            ["x" * 100_000],
            ["\0" * 100_000],
            [*lines(5000), ""],
            [*lines(2500), "nonsense " * 300, *lines(2500)],
            ["\ufeff" + sha1("x")],
        ):
            self.assert_unusable(self.write(content), "a line that is not HASH or HASH:count")

    def test_hashes_of_another_length_are_rejected(self) -> None:
        self.assert_unusable(self.write([*lines(3000), "F" * 39]), "differ in length")
        self.assert_unusable(self.write(lines(100, 32)), "a file of NTLM hashes")

    def test_an_unsorted_file_is_rejected(self) -> None:
        for count in (2, 60, 5000):
            self.assert_unusable(self.write(reversed(lines(count))), "not sorted by hash")
        self.assert_unusable(self.write(lines(1700) * 3), "not sorted by hash")
        by_number = [sha1(breached(number)) for number in range(5000)]
        self.assert_unusable(self.write(by_number), "not sorted by hash")

    def test_the_service_does_not_start_and_reports_one_error(self) -> None:
        environment = {
            "BREACHED_PASSWORDS_FILE": "/nowhere/breached.txt",
            "INSTANCE_PATH": str(databases.folder()),
        }
        with self.assertRaises(ConfigError) as caught:
            config.load("project.config.TestingConfig", environment=environment)
        (fault,) = caught.exception.errors
        self.assertRegex(
            fault, r"^BREACHED_PASSWORDS_FILE names no file \(/nowhere.*: set it to .*unset it\.$"
        )

    def test_a_relative_path_becomes_absolute(self) -> None:
        path = self.write(lines(3))
        checked = Path(breaches.check_file(os.path.relpath(path)))
        self.assertTrue(checked.is_absolute() and checked.samefile(path))


class TestRegistration(FileCase, BaseTestCase):
    """Registrations with a configured file."""

    def test_a_breached_password_is_rejected(self) -> None:
        path = self.write([sha1(GOOD)])
        app = databases.new_app(PASSWORD_POLICY=True, BREACHED_PASSWORDS_FILE=path)
        caller = InProcess(app.test_client())
        reply = caller.register(password=GOOD)
        self.assert_field_errors(reply, ("password", "password_breached"))
        self.assertEqual(caller.register(password=f"{GOOD}!").status, 201)

    def test_registrations_are_unavailable_if_the_file_is_missing(self) -> None:
        path = self.write([sha1(GOOD)])
        app = databases.new_app(PASSWORD_POLICY=True, BREACHED_PASSWORDS_FILE=path)
        Path(path).unlink()
        reply = InProcess(app.test_client()).register(password=f"{GOOD}!")
        self.assert_error(reply, 503, "Service unavailable. Try again later.", "unavailable")
