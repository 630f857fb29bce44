"""A guard for the views of a Flask service; needs Flask, which the package itself does not."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from flask import Response, json, request

from users_client.errors import VerifierError
from users_client.tokens import Identity
from users_client.verifier import Verifier

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
View = Callable[Concatenate[Identity, Arguments], Returned]
Guarded = Callable[Arguments, Returned | Response]


def requires_user(
    verifier: Verifier,
) -> Callable[[View[Arguments, Returned]], Guarded[Arguments, Returned]]:
    """Pass whose the request's token is to the view, as its first argument.

    Answers 401, or 503 where nobody can say, as the users service itself does.
    """

    def decorate(view: View[Arguments, Returned]) -> Guarded[Arguments, Returned]:
        @wraps(view)
        def guarded(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Returned | Response:
            try:
                identity = verifier.verify_header(request.headers.get("Authorization"))
            except VerifierError as error:
                return _answer(error)
            return view(identity, *args, **kwargs)

        return guarded

    return decorate


def _answer(error: VerifierError) -> Response:
    body = json.dumps(error.body())
    return Response(body, error.status, error.headers(), mimetype="application/json")
