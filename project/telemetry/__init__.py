"""Logs, metrics and the request id."""
