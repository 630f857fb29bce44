"""Guards for the routes of a FastAPI service. This module requires FastAPI."""

from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from users_client.errors import NotPermitted, VerifierError
from users_client.tokens import Principal, UserPrincipal
from users_client.verifier import Verifier


def init_app(app: FastAPI) -> None:
    """Make the app respond to a VerifierError as the users service does."""
    app.add_exception_handler(VerifierError, _error_response)


def requires_user(verifier: Verifier) -> Callable[[Request], Principal]:
    """Return a dependency that yields the principal of the request."""

    # No `async`: FastAPI runs it in a thread, because it may wait for the users service.
    def principal(request: Request) -> Principal:
        return verifier.verify_header(request.headers.get("Authorization"))

    return principal


def requires_admin(verifier: Verifier) -> Callable[[Request], UserPrincipal]:
    """Return a dependency that yields the principal if the user is an administrator.

    Sends a request to the users service. Raises NotPermitted for other users.
    """

    def principal(request: Request) -> UserPrincipal:
        user = verifier.fetch_user_by_header(request.headers.get("Authorization"))
        if not user.admin:
            raise NotPermitted
        return user

    return principal


def _error_response(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, VerifierError)
    return JSONResponse(error.body(), error.status, error.headers())
