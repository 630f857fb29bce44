"""The PostgreSQL server of the benchmark, with a database for each contestant."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from uuid import uuid4

import psutil
import psycopg2

from bench import processes
from project.tests.support import postgres

MAX_CONNECTIONS = "400"


class Database:
    """A running PostgreSQL server."""

    def __init__(self, server: postgres.Server) -> None:
        self.url = server.url
        postmaster = (server.data / "postmaster.pid").read_text().splitlines()[0]
        self.process = psutil.Process(int(postmaster))

    def new(self) -> str:
        """Create an empty database and return its URL."""
        name = f"bench_{uuid4().hex}"
        with closing(psycopg2.connect(self.url)) as connection:
            connection.autocommit = True
            connection.cursor().execute(f"CREATE DATABASE {name}")
        return f"{self.url.rpartition('/')[0]}/{name}"

    def pin(self, cores: frozenset[int]) -> None:
        """Pin the server and its future connections to these cores."""
        for process in processes.tree(self.process):
            os.sched_setaffinity(process.pid, cores)


@contextmanager
def running() -> Iterator[Database]:
    """Run a server during the block."""
    with postgres.running(max_connections=MAX_CONNECTIONS) as server:
        yield Database(server)
