"""The command line, and `app` for WSGI servers: `gunicorn manage:app`."""

import sys

from flask_script_ng import Manager, Shell

from project import commands, create_app
from project.config import ConfigError

# What gunicorn takes for "the app cannot be loaded": it stops, and does not try for ever.
CANNOT_LOAD = 4

try:
    app = create_app()
except ConfigError as error:
    print(error, file=sys.stderr)
    sys.exit(CANNOT_LOAD)

manager = Manager(app)
manager.add_command("runserver", commands.DevelopmentServer())
manager.add_command("shell", Shell(make_context=commands.shell_context))
manager.add_command("db", commands.Database())
manager.command(commands.recreate_db)
manager.command(commands.seed_db)
manager.command(commands.create_admin)
manager.command(commands.deactivate_user)
manager.command(commands.activate_user)
manager.command(commands.delete_user)
manager.command(commands.make_service_token)
manager.command(commands.list_keys)
manager.command(commands.rotate_keys)
manager.command(commands.retire_key)
manager.command(commands.serve)
manager.command(commands.test)
manager.command(commands.cov)

if __name__ == "__main__":
    commands.run(manager)
