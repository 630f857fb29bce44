"""What gunicorn is told for the contestants: nothing that changes how it serves."""

# Else it reads, and writes, what other servers of the machine share.
control_socket_disable = True
loglevel = "warning"
