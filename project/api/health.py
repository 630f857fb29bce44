"""Health checks for orchestrators and load balancers."""

from flask import Blueprint, request

from project.api.schemas import AliveResponse, ReadyResponse
from project.errors import NotReady
from project.http.contract import responds
from project.serving import readiness

health_blueprint = Blueprint("health", __name__, url_prefix="/health")


@health_blueprint.get("/live")
@responds(AliveResponse)
def get_liveness() -> AliveResponse:
    """Return 200 while the process responds; the database is not checked."""
    return AliveResponse()


@health_blueprint.get("/ready")
@responds(ReadyResponse, NotReady)
def get_readiness() -> ReadyResponse:
    """Return 200 if the process can serve requests, else 503.

    In a 503, `check` is the failed check: `database`, `schema`, `secret` or `draining`.
    """
    readiness.check(may_write=request.method != "HEAD")
    return ReadyResponse()
