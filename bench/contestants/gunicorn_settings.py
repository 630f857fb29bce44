"""gunicorn's configuration for the contestants. It does not change how gunicorn serves."""

# gunicorn would open a control socket that all servers of the machine share.
control_socket_disable = True
loglevel = "warning"
