"""How much a server takes on at once: the same numbers for granian and for gunicorn."""

MAX_CONCURRENT_REQUESTS = 16
"""Requests that a process works at together: enough to wait for the database and for bcrypt, and no
more than the pools of connections can serve."""
MAX_CONNECTIONS = 512
"""Connections that a worker holds; more wait to be accepted."""
MAX_THREADS = MAX_CONNECTIONS + MAX_CONCURRENT_REQUESTS
"""Threads that a worker has at the most: slow clients hold one for each connection, and no more."""
MAX_HEADER_BYTES = 32 * 1024
"""Bytes of a request line and its header fields; under granian each connection whose body is still
to come may hold several times as much."""
BODY_PIECE = 16 * 1024
"""Bytes of a body that are read at a time where it is read only to be dropped."""
SHUTDOWN_GRACE = 7
"""What a worker has to finish what it has begun when the server ends; together with the default of
DRAIN_SECONDS less than the ten seconds after which a container is killed."""
