"""Bad input, through Flask's test client."""

from project.tests.support.bad_input import BadInput


class TestBadInput(BadInput):
    """What reaches the service when no server has looked at it before."""

    __test__ = True
