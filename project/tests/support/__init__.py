"""Servers and files that tests need."""
