"""The command line of the service, and `app` for WSGI servers: `gunicorn manage:app`."""

import logging
import sys

from project import create_app
from project.commands import (
    accounts,
    backup,
    console,
    database,
    doctor,
    keys,
    mail,
    outbox,
    purge,
    serving,
    suite,
    throttle,
)
from project.commands.command_line import CommandLine
from project.config import ConfigError
from project.telemetry import logs

manager = CommandLine(create_app)
manager.add_command("runserver", serving.DevelopmentServer())
manager.add_command("shell", serving.PythonShell(make_context=serving.shell_context))
manager.add_command("db", database.Database())
manager.command(database.recreate_db)
manager.command(accounts.seed_db)
manager.command(accounts.create_admin)
manager.command(accounts.deactivate_user)
manager.command(accounts.activate_user)
manager.command(accounts.delete_user)
manager.command(keys.make_service_token)
manager.command(keys.adopt_secret)
manager.command(keys.list_keys)
manager.command(keys.rotate_keys)
manager.command(keys.retire_key)
manager.command(throttle.throttle)
manager.command(doctor.doctor)
manager.command(purge.purge)
manager.command(backup.backup)
manager.command(backup.restore)
manager.command(outbox.deliver)
manager.command(outbox.outbox)
manager.add_command("outbox_retry", outbox.OutboxRetry())
manager.command(outbox.outbox_cancel)
manager.command(outbox.unsuppress)
manager.command(mail.mail_test)
manager.command(mail.mail_preview)
manager.command(serving.serve)
manager.command(suite.test)
manager.command(suite.cov)


def main() -> None:
    """Run the command of this process, then exit."""
    logs.reserve_standard_streams()
    # Standard output is for the result of a command. Warnings and errors of the log go elsewhere.
    logs.write_to(sys.stderr, logging.WARNING)
    console.run(manager)


if __name__ == "__main__":
    main()

try:
    app = create_app()
except ConfigError as error:
    print(error, file=sys.stderr)
    sys.exit(console.CANNOT_LOAD)
