"""Measure how many mails a second one process delivers to a mail server on this machine.

    python -m bench.delivery [--mails 1000]

It requests a password reset for each of as many accounts, on PostgreSQL and on SQLite, runs
`python manage.py deliver`, and prints the rate and the processor time of a mail. It exits with 1 if
a rate is below 50 mails a second.
"""

import argparse
import sys
import time
from subprocess import DEVNULL
from tempfile import TemporaryDirectory

import psutil

from bench import cores, database, processes
from bench.contestants import CONTESTANTS
from bench.contestants.contestant import ROOT, SECRET
from bench.load import Failed
from bench.oracle import MAIL
from bench.served import prepare
from project import create_app
from project.accounts import email
from project.accounts.actors import Actor
from project.config import TestingConfig
from project.tests.faults.load import add_accounts
from project.tests.support import smtp
from project.tests.support.smtp import FaultyServer

OURS = CONTESTANTS["users"]
MIN_RATE = 50
COST = 4
TIMEOUT = 120.0


def main() -> int:
    """Measure and print; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mails", type=int, default=1000)
    mails, on, rates = parser.parse_args().mails, cores.apart(), []
    print("| database | mails/s | CPU of the process, ms a mail |")
    print("| --- | --- | --- |")
    with database.running() as databases, TemporaryDirectory() as folder, cores.pinned(on.load):
        databases.pin(on.load)
        urls = {"PostgreSQL": databases.new(), "SQLite": f"sqlite:///{folder}/bench.sqlite"}
        for name, url in urls.items():
            with smtp.running() as server:
                queue(url, server, mails, folder)
                rate, cpu_seconds = measure(server, mails, on.server)
            print(f"| {name} | {rate:.0f} | {cpu_seconds * 1e3:.1f} |", flush=True)
            rates.append(rate)
    return 0 if min(rates) >= MIN_RATE else 1


def queue(url: str, server: FaultyServer, mails: int, folder: str) -> None:
    """Insert the accounts, and request a password reset for each."""
    prepare(OURS, url, COST, MAIL | {"MAIL_URL": server.url, "INSTANCE_PATH": folder})
    settings = {"SECRET_KEY": SECRET, "INSTANCE_PATH": folder, "THROTTLE_ENABLED": False}
    app = create_app(TestingConfig, DATABASE_TEST_URL=url, **settings)
    with app.app_context():
        add_accounts(mails)
        for number in range(mails):
            email.request("password_reset", f"user{number}@members.net", Actor("192.0.2.1", ""))


def measure(server: FaultyServer, mails: int, on: frozenset[int]) -> tuple[float, float]:
    """Return the rate of a process on these cores, and its processor time for one mail."""
    argv, environment = OURS.command(0, 1)
    with cores.pinned(on):
        process = psutil.Popen(
            [argv[0], argv[1], "deliver"], env=environment, cwd=ROOT, stdout=DEVNULL, stderr=DEVNULL
        )
    try:
        wait_for(server, 1)
        began, cpu_began = time.perf_counter(), processes.cpu_seconds(process)
        wait_for(server, mails)
        seconds, cpu_ended = time.perf_counter() - began, processes.cpu_seconds(process)
    finally:
        process.terminate()
        process.wait()
    return (mails - 1) / seconds, (cpu_ended - cpu_began) / (mails - 1)


def wait_for(server: FaultyServer, number: int) -> None:
    """Wait until so many mails have arrived. Raises Failed."""
    if not server.wait_for(number, TIMEOUT):
        raise Failed(f"{len(server.received)} mails arrived")


if __name__ == "__main__":
    sys.exit(main())
