"""What a load balancer asks: whether the process lives, and whether to send it requests."""

from flask import Blueprint

from project.api.contract import answers
from project.api.schemas import AliveResponse, ReadyResponse
from project.serving import readiness
from project.serving.readiness import NotReady

health_blueprint = Blueprint("health", __name__, url_prefix="/health")


@health_blueprint.get("/live")
@answers(AliveResponse)
def get_liveness() -> AliveResponse:
    """Tell that the process answers; the database has no part in it."""
    return AliveResponse()


@health_blueprint.get("/ready")
@answers(ReadyResponse, NotReady)
def get_readiness() -> ReadyResponse:
    """Tell whether to send requests here: the database answers, and the server is to go on.

    Where not, `check` names what is missing: `database`, `schema` or `draining`.
    """
    readiness.check()
    return ReadyResponse()
