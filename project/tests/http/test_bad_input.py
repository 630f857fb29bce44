"""Bad input, through Flask's test client."""

from project.tests.support.bad_input import BadInput


class TestBadInput(BadInput):
    """Bad input that no server has parsed before the service."""

    __test__ = True
