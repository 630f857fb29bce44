"""The suite: behaviour, through HTTP, on SQLite and on PostgreSQL."""
