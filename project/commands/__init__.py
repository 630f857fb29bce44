"""Does what `manage.py` is told: plain functions that print what they did."""
