"""Invitations. Registered only if REGISTRATION is `invited`."""

from dataclasses import asdict
from uuid import UUID

from flask import Blueprint

from project.accounts import invitations
from project.accounts.one_time_tokens import Token
from project.api.actor import actor
from project.api.guard import require_admin, require_admin_write
from project.api.schemas import RegisterResponse
from project.api.schemas.invitations import (
    AcceptInvitationRequest,
    CancelInvitationResponse,
    InvitationData,
    InvitationList,
    InvitationListResponse,
    InvitationRequest,
    InvitationResponse,
)
from project.errors import (
    CodeInvalid,
    EmailExists,
    NotFound,
    Overloaded,
    TooManyAttempts,
    Unavailable,
    UserExists,
)
from project.http.contract import accepts, responds

invitations_blueprint = Blueprint("invitations", __name__)


@invitations_blueprint.post("/auth/invitations")
@responds(InvitationResponse, EmailExists, status=201)
@require_admin_write
@accepts(InvitationRequest)
def send_invitation(payload: InvitationRequest) -> InvitationResponse:
    """Invite an address by mail, as an administrator.

    An earlier invitation to the address becomes invalid.
    """
    sent = invitations.send(payload.email, actor(), payload.language)
    return InvitationResponse(data=_invitation_data(sent))


@invitations_blueprint.get("/auth/invitations")
@responds(InvitationListResponse)
@require_admin
def list_invitations() -> InvitationListResponse:
    """List the outstanding invitations, newest first, as an administrator."""
    listed = [_invitation_data(token) for token in invitations.list_outstanding()]
    return InvitationListResponse(data=InvitationList(invitations=listed))


@invitations_blueprint.delete("/auth/invitations/<invitation_id>")
@responds(CancelInvitationResponse, NotFound)
@require_admin_write
def cancel_invitation(invitation_id: str) -> CancelInvitationResponse:
    """Cancel an outstanding invitation, as an administrator."""
    try:
        parsed_id = UUID(invitation_id)
    except ValueError:
        raise NotFound from None
    invitations.cancel(parsed_id, actor())
    return CancelInvitationResponse()


@invitations_blueprint.post("/auth/invitations/accept")
@responds(
    RegisterResponse,
    CodeInvalid,
    UserExists,
    TooManyAttempts,
    Overloaded,
    Unavailable,
    status=201,
)
@accepts(AcceptInvitationRequest)
def accept_invitation(payload: AcceptInvitationRequest) -> RegisterResponse:
    """Create the invited account, whose address is verified, and start its first session.

    A rejected request does not consume the invitation.
    """
    issued = invitations.accept(payload.token, payload.username, payload.password, actor())
    return RegisterResponse(**asdict(issued))


def _invitation_data(token: Token) -> InvitationData:
    return InvitationData(
        id=token.id.hex,
        email=token.new_email,
        created_at=token.created_at,
        expires_at=token.expires_at,
    )
