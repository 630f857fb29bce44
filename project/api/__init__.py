"""Speaks HTTP: the only place that touches `flask.request` and status codes."""
