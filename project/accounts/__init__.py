"""The operations on accounts, sessions and keys, independent of HTTP."""
