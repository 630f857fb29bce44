"""The server and its processes: threads, sockets, signals, and readiness for requests."""
