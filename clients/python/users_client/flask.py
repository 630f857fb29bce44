"""Guards for the views of a Flask service. This module requires Flask."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from flask import Response, json, request

from users_client.errors import NotPermitted, VerifierError
from users_client.tokens import Principal, UserPrincipal
from users_client.verifier import Verifier

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
Caller = TypeVar("Caller", bound=Principal)
View = Callable[Concatenate[Caller, Arguments], Returned]
Guarded = Callable[Arguments, Returned | Response]


def requires_user(
    verifier: Verifier,
) -> Callable[[View[Principal, Arguments, Returned]], Guarded[Arguments, Returned]]:
    """Pass the principal of the request to the view, as its first argument.

    Responds with 401 to an invalid token, and 503 if it cannot be verified at the moment.
    """
    return _guard(verifier.verify_header)


def requires_admin(
    verifier: Verifier,
) -> Callable[[View[UserPrincipal, Arguments, Returned]], Guarded[Arguments, Returned]]:
    """Pass the principal of the request to the view if the user is an administrator.

    Sends a request to the users service. Responds with 403 to other users, and otherwise as
    requires_user does.
    """

    def verify(authorization: str | None) -> UserPrincipal:
        user = verifier.fetch_user_by_header(authorization)
        if not user.admin:
            raise NotPermitted
        return user

    return _guard(verify)


def _guard(
    verify: Callable[[str | None], Caller],
) -> Callable[[View[Caller, Arguments, Returned]], Guarded[Arguments, Returned]]:
    def decorate(view: View[Caller, Arguments, Returned]) -> Guarded[Arguments, Returned]:
        @wraps(view)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned | Response:
            try:
                principal = verify(request.headers.get("Authorization"))
            except VerifierError as error:
                return _error_response(error)
            return view(principal, *args, **kwargs)

        return guarded

    return decorate


def _error_response(error: VerifierError) -> Response:
    body = json.dumps(error.body())
    return Response(body, error.status, error.headers(), mimetype="application/json")
