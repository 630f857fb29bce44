"""Tests of the files of the repository."""
