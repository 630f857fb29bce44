"""Folders of the repository."""

from pathlib import Path

PROJECT = Path(__file__).parents[2]
ROOT = PROJECT.parent
