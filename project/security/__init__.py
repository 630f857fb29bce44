"""Computes: no Flask, no database, no settings."""
