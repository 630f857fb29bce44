"""Guards for the views of a Flask service; needs Flask, which the package itself does not."""

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
    """Pass the request's principal to the view, as its first argument.

    Answers 401, or 503 where nobody can say, as the users service itself does.
    """
    return _guard(verifier.verify_header)


def requires_admin(
    verifier: Verifier,
) -> Callable[[View[UserPrincipal, Arguments, Returned]], Guarded[Arguments, Returned]]:
    """Pass the request's principal to the view where it is an administrator.

    Costs a request to the users service. Answers 403 to other users, and else what requires_user
    does.
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
                return _answer(error)
            return view(principal, *args, **kwargs)

        return guarded

    return decorate


def _answer(error: VerifierError) -> Response:
    body = json.dumps(error.body())
    return Response(body, error.status, error.headers(), mimetype="application/json")
