"""Models and migrations define the same schema, and every migration works in both directions."""

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
    """The migrations, on a separate database."""

    def setUp(self) -> None:
        self.app = databases.new_app()
        self.enterContext(self.app.app_context())

    def tables(self) -> set[str]:
        """Return the names of the existing tables."""
        return set(inspect(db.engine).get_table_names()) - {"alembic_version", "sqlite_sequence"}

    def test_the_migrations_create_the_tables_of_the_models(self) -> None:
        with db.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            self.assertEqual(compare_metadata(context, db.metadata), [])
        self.assertEqual(self.tables(), set(db.metadata.tables))

    def test_constraints_have_the_names_of_the_models(self) -> None:
        inspector = inspect(db.engine)
        for name, table in db.metadata.tables.items():
            # SQLite stores no name for an autoincrement key.
            found: set[str | None] = {inspector.get_pk_constraint(name)["name"] or f"pk_{name}"}
            found |= {key["name"] for key in inspector.get_foreign_keys(name)}
            found |= {key["name"] for key in inspector.get_unique_constraints(name)}
            self.assertEqual(found, {constraint.name for constraint in table.constraints})

    def test_all_migrations_can_be_downgraded_and_upgraded(self) -> None:
        flask_migrate.downgrade(revision="base")
        self.assertEqual(self.tables(), set())
        flask_migrate.upgrade()
        self.assertEqual(self.tables(), set(db.metadata.tables))
        flask_migrate.check()

    def test_a_migration_has_no_time_limit(self) -> None:
        if databases.kind() == "sqlite":
            return
        url = self.app.config["SQLALCHEMY_DATABASE_URI"]
        hasty = url.update_query_dict({"options": url.query["options"] + " -cstatement_timeout=1s"})
        self.app.config["SQLALCHEMY_DATABASE_URI"] = hasty
        with migration.connect(self.app) as connection:
            for name in ("statement_timeout", "lock_timeout"):
                self.assertEqual(connection.scalar(select(func.current_setting(name))), "0")

    def test_one_of_five_concurrent_processes_migrates_and_all_succeed(self) -> None:
        environment = servers.environment(databases.new_database())
        command = [sys.executable, "manage.py", "db", "upgrade"]
        with ExitStack() as running:
            started = [
                running.enter_context(
                    subprocess.Popen(command, cwd=ROOT, env=environment, stdout=PIPE, stderr=STDOUT)
                )
                for _ in range(5)
            ]
            outputs = [process.communicate(timeout=100)[0].decode() for process in started]
        self.assertEqual([process.returncode for process in started], [0] * 5, outputs)
        self.assertEqual(sum("Applied 0001" in text for text in outputs), 1, outputs)
        for text in outputs:
            self.assertIn("is at revision", text)
