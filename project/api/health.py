"""What a load balancer asks: whether the process lives, and whether to send it requests."""

from flask import Blueprint

from project.api.contract import answers
from project.api.schemas import AliveAnswer, ReadyAnswer
from project.serving import readiness
from project.serving.readiness import NotReady

health_blueprint = Blueprint("health", __name__, url_prefix="/health")


@health_blueprint.get("/live")
@answers(AliveAnswer)
def get_liveness() -> AliveAnswer:
    """Tell that the process answers; the database has no part in it."""
    return AliveAnswer()


@health_blueprint.get("/ready")
@answers(ReadyAnswer, NotReady)
def get_readiness() -> ReadyAnswer:
    """Tell whether to send requests here: the database answers, and the server is to go on.

    Where not, `check` names what is missing: `database`, `schema`, `secret` or
    `draining`.
    """
    readiness.check()
    return ReadyAnswer()
