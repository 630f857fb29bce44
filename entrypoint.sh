#!/bin/sh
# The entry point of the container: `serve` (the default), `migrate`, or any other command.
set -eu

case "${1:-serve}" in
    serve)
        exec python manage.py serve --host 0.0.0.0 --port "${PORT:-5000}" --workers "${WEB_CONCURRENCY:-2}"
        ;;
    migrate)
        exec python manage.py db upgrade
        ;;
    *)
        exec "$@"
        ;;
esac
