"""Processes that deliver, each replaced as soon as it is killed.

`python -m project.tests.faults.delivering`. They are forked from one that has loaded everything,
since a process that lives for 0.2 s would never get to its first message.
"""

import os
from datetime import timedelta

from project import create_app
from project.delivery import claims, mail
from project.extensions import autocommit, db

PROCESSES = 2
LEASE = timedelta(seconds=3)
"""Shorter than in earnest, so that what a killed process has claimed is soon due again."""


def main() -> None:
    """Keep the processes running until the whole group is killed."""
    claims.LEASE = LEASE
    app = create_app()
    deliverer = mail.deliverer(app)
    with app.app_context():
        while not (first := claims.claim(deliverer.sender.prefix)):
            pass
        deliverer._deliver(first)  # loads what the others need
        deliverer.sender.close()
        db.engine.dispose()
        autocommit.engine.dispose()
    running = 0
    while True:
        while running < PROCESSES:
            if not os.fork():
                deliverer.run()
            running += 1
        os.wait()
        running -= 1


if __name__ == "__main__":
    main()
