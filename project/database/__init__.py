"""How the service talks to its database."""
