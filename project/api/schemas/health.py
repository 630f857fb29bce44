"""Health checks."""

from typing import Literal

from project.http.envelope import SuccessResponse


class AliveResponse(SuccessResponse):
    """The process responds."""

    message: Literal["Alive."] = "Alive."


class ReadyResponse(SuccessResponse):
    """The process can serve requests."""

    message: Literal["Ready."] = "Ready."
