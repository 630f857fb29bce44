"""Tests of passwords, tokens and keys."""
