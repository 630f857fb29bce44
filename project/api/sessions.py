"""The caller's sessions."""

from uuid import UUID

from flask import Blueprint

from project.accounts import sessions, throttle
from project.accounts.sessions import OpenSession, Principal
from project.api.actor import actor
from project.api.guard import authenticate
from project.api.schemas import EndSessionResponse, SessionData, SessionList, SessionListResponse
from project.errors import SessionNotFound, TooManyAttempts
from project.http.contract import responds

sessions_blueprint = Blueprint("sessions", __name__)


@sessions_blueprint.get("/auth/sessions")
@responds(SessionListResponse)
@authenticate()
def list_sessions(principal: Principal) -> SessionListResponse:
    """List the caller's open sessions, the most recently seen first."""
    listed = [_session_data(session, principal) for session in sessions.list_open(principal.id)]
    return SessionListResponse(data=SessionList(sessions=listed))


@sessions_blueprint.delete("/auth/sessions/<session_id>")
@responds(EndSessionResponse, SessionNotFound, TooManyAttempts)
@authenticate()
def end_session(principal: Principal, session_id: str) -> EndSessionResponse:
    """End one of the caller's sessions; its tokens are rejected from then on."""
    try:
        parsed_id = UUID(session_id)
    except ValueError:
        raise SessionNotFound from None
    throttle.count_write(principal.id, actor())
    sessions.end_own(principal.id, parsed_id, actor())
    return EndSessionResponse()


def _session_data(session: OpenSession, principal: Principal) -> SessionData:
    return SessionData(
        id=session.id,
        created_at=session.created_at,
        last_seen_at=max(session.created_at, session.last_seen_at.replace(second=0)),
        address=session.address,
        user_agent=session.user_agent,
        current=session.id == principal.session_id,
    )
