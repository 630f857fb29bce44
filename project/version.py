"""The version of the service, in one place."""

VERSION = "1.0.0"
