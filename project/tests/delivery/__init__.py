"""Tests of the outbox and of mail."""
