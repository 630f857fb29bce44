"""The commands of `manage.py`: functions that print their result."""
