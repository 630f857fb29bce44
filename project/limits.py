"""Limits of a worker process, the same under granian and under gunicorn."""

MAX_CONCURRENT_REQUESTS = 16
"""Requests that a worker processes at the same time: enough to wait for the database and
bcrypt, and no more than there are database connections."""
MAX_CONNECTIONS = 512
"""Client connections per worker; further ones wait to be accepted."""
MAX_THREADS = MAX_CONNECTIONS + MAX_CONCURRENT_REQUESTS
"""Threads per worker: one for each connection of a slow client, and those that process requests."""
MAX_HEADER_BYTES = 32 * 1024
"""Bytes of a request line and its header fields; under granian a connection that waits for its body
may use several times as much memory."""
BODY_PIECE = 16 * 1024
"""Bytes to read at a time from a body that is discarded."""
SHUTDOWN_GRACE = 7
"""Seconds that a worker has to complete its requests at shutdown; with the default DRAIN_SECONDS
less than the ten seconds after which a container is killed."""
