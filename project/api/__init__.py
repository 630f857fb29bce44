"""Speaks HTTP: the place of views, and of reading requests."""
