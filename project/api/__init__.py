"""The views: one module for each resource, named as in its URL."""
