"""Models and migrations say the same, and every migration goes both ways."""

import subprocess
import sys
from contextlib import ExitStack
from subprocess import PIPE, STDOUT

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select

from project.database import migration
from project.extensions import db
from project.tests.base import BaseTestCase
from project.tests.support import databases, servers
from project.tests.support.paths import ROOT

pytestmark = pytest.mark.processes


class TestMigrations(BaseTestCase):
    """On a database of its own."""

    def setUp(self) -> None:
        self.app = databases.new_app()
        self.enterContext(self.app.app_context())

    def tables(self) -> set[str]:
        """Return the names of the tables that there are."""
        return set(inspect(db.engine).get_table_names()) - {"alembic_version", "sqlite_sequence"}

    def test_the_migrations_make_the_models_tables(self) -> None:
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            self.assertEqual(compare_metadata(context, db.metadata), [])
        self.assertEqual(self.tables(), set(db.metadata.tables))

    def test_the_migrations_name_every_constraint_as_the_models_do(self) -> None:
        inspector = inspect(db.engine)
        for name, table in db.metadata.tables.items():
            # SQLite keeps no name for a key that counts by itself.
            found: set[str | None] = {inspector.get_pk_constraint(name)["name"] or f"pk_{name}"}
            found |= {key["name"] for key in inspector.get_foreign_keys(name)}
            found |= {key["name"] for key in inspector.get_unique_constraints(name)}
            self.assertEqual(found, {constraint.name for constraint in table.constraints})

    def test_down_and_up_again(self) -> None:
        flask_migrate.downgrade(revision="base")
        self.assertEqual(self.tables(), set())
        flask_migrate.upgrade()
        self.assertEqual(self.tables(), set(db.metadata.tables))
        flask_migrate.check()

    def test_a_migration_takes_as_long_as_it_takes(self) -> None:
        if databases.kind() == "sqlite":
            return
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        hasty = url.update_query_dict({"options": url.query["options"] + " -cstatement_timeout=1s"})
        self.app.config["SQLALCHEMY_DATABASE_URI"] = hasty
        with migration.connect(self.app) as connection:
            for name in ("statement_timeout", "lock_timeout"):
                self.assertEqual(connection.scalar(select(func.current_setting(name))), "0")

    def test_of_five_processes_that_migrate_at_once_one_does_and_all_end_well(self) -> None:
        environment = servers.environment(databases.new_database())
        command = [sys.executable, "manage.py", "db", "upgrade"]
        with ExitStack() as running:
            started = [
                running.enter_context(
                    subprocess.Popen(command, cwd=ROOT, env=environment, stdout=PIPE, stderr=STDOUT)
                )
                for _ in range(5)
            ]
            said = [process.communicate(timeout=100)[0].decode() for process in started]
        self.assertEqual([process.returncode for process in started], [0] * 5, said)
        self.assertEqual(sum("Applied 0001" in text for text in said), 1, said)
        for text in said:
            self.assertIn("is at revision", text)
