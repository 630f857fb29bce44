"""The API document (OpenAPI 3.1), built from the routes and their decorators."""

import re
from collections.abc import Iterator
from functools import cached_property
from http import HTTPStatus
from inspect import getdoc
from itertools import groupby
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from project.errors import InternalError, ServiceError
from project.extensions import add_component
from project.http.contract import Operation, View, get_operation
from project.http.envelope import ErrorResponse
from project.http.payload import MEDIA_TYPE
from project.version import VERSION

DESCRIPTION = """\
Accounts, tokens and sessions for all services of a product.

Every response is JSON with `status` and `message` or `data`; every error has a stable `code` beside
its message. Any path may also respond with 404 `not_found` and 405 `method_not_allowed`.
"""
LICENSE = {"name": "MIT", "identifier": "MIT"}
TAGS = {
    "auth": "Registration, login, tokens and sessions.",
    "mail": "Password resets, verification of addresses, and notices.",
    "login_code": "Login with a code from a mail.",
    "invitations": "Invitations of new users.",
    "dev_mail": "The mail folder, for development.",
    "users": "User accounts.",
    "services": "Routes for other services and for proxies.",
    "health": "Health checks for orchestrators and load balancers.",
    "metrics": "Metrics for Prometheus.",
    "system": "The API document.",
    "docs": "Interactive documentation.",
}
SCHEMES = {
    "auth_token": ("bearer", "The `auth_token` of a registration, login or refresh."),
    "service_token": (
        "bearer",
        "A service token: one of SERVICE_TOKENS, or METRICS_TOKEN for `/metrics`.",
    ),
    "client_secret_basic": ("basic", "Any client id, with a service token as the client secret."),
}
REF_TEMPLATE = "#/components/schemas/{model}"
HIDDEN_METHODS = {"HEAD", "OPTIONS"}
Schema = dict[str, Any]


class ApiDocument:
    """The API document of an app."""

    def __init__(self, app: Flask) -> None:
        self._app = app

    @cached_property
    def content(self) -> Schema:
        """The document, built at the first access, when all routes are registered."""
        return build(self._app)


def init_app(app: Flask) -> None:
    """Add the API document to the app."""
    add_component(app, ApiDocument(app))


def build(app: Flask) -> Schema:
    """Return the document with every route of the app."""
    paths: Schema = {}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - HIDDEN_METHODS):
            path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
            security = _security(app, get_operation(view))
            paths.setdefault(path, {})[method.lower()] = _operation(rule, view) | security
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "users",
            "version": VERSION,
            "description": DESCRIPTION,
            "license": LICENSE,
        },
        "servers": [{"url": "/", "description": "The origin of this document."}],
        "tags": _tags(paths),
        "paths": paths,
        "components": {
            "schemas": _schemas(app),
            "securitySchemes": {
                name: {"type": "http", "scheme": scheme, "description": description}
                for name, (scheme, description) in SCHEMES.items()
            },
        },
    }


def iter_error_classes(root: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    """Yield every error class that has a code."""
    for member in root.__subclasses__():
        if hasattr(member, "code"):
            yield member
        yield from iter_error_classes(member)


def _tags(paths: Schema) -> list[Schema]:
    """Return the tags that the app's operations use, in the order of TAGS."""
    operations = [operation for path in paths.values() for operation in path.values()]
    used = {tag for operation in operations for tag in operation["tags"]}
    return [{"name": name, "description": TAGS[name]} for name in TAGS if name in used]


def _security(app: Flask, operation: Operation) -> Schema:
    """Return the security schemes of an operation; an empty list for a public one."""
    is_public = not operation.security_schemes or bool(app.config.get(operation.public_setting))
    return {"security": [] if is_public else [{name: []} for name in operation.security_schemes]}


def _operation(rule: Rule, view: View) -> Schema:
    operation = get_operation(view)
    summary, _, description = (getdoc(view) or "").partition("\n\n")
    described: Schema = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": summary.replace("\n", " "),
        "responses": _successes(operation) | _error_responses(operation),
    }
    if operation.revalidated:
        described["responses"]["304"] = {"description": HTTPStatus.NOT_MODIFIED.phrase}
    if description:
        described["description"] = description
    if parameters := [*_path_parameters(rule), *_query_parameters(operation)]:
        described["parameters"] = parameters
    if operation.body:
        schema = {"schema": _reference(operation.body)}
        content = dict.fromkeys(operation.body_types, schema)
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _path_parameters(rule: Rule) -> list[Schema]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in sorted(rule.arguments)
    ]


def _query_parameters(operation: Operation) -> list[Schema]:
    if operation.query is None:
        return []
    properties = operation.query.model_json_schema()["properties"]
    return [
        {"name": name, "in": "query", "schema": _without_null(properties[name])}
        for name in properties
    ]


def _without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter that may be absent: a query has no null."""
    known = {key: value for key, value in schema.items() if (key, value) != ("default", None)}
    for option in known.pop("anyOf", ()):
        if option != {"type": "null"}:
            known |= option
    return known


def _successes(operation: Operation) -> Schema:
    responses = {str(operation.status): _success(operation.status, operation.response, operation)}
    if operation.already_done:
        responses["200"] = _success(200, operation.already_done, operation)
    return responses


def _success(status: int, model: type[BaseModel] | None, operation: Operation) -> Schema:
    content: Schema = {media_type: {"schema": {}} for media_type in operation.media_types}
    if model:
        content[MEDIA_TYPE]["schema"] = _reference(model)
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _headers("X-Request-ID"),
        "content": content,
    }


def _error_responses(operation: Operation) -> Schema:
    """Return one response for each status, with an example for each error code."""
    known: set[type[ServiceError]] = {*operation.errors, InternalError}
    errors = sorted(known, key=lambda error: (error.status, error.code))
    return {
        str(status): _error_response(HTTPStatus(status).phrase, list(members))
        for status, members in groupby(errors, key=lambda error: error.status)
    }


def _error_response(phrase: str, members: list[type[ServiceError]]) -> Schema:
    examples = {member.code: {"value": member.example().body()} for member in members}
    schema = {
        "allOf": [ERROR],
        "properties": {"code": {"enum": sorted(examples)}},
    }
    fields = {name for member in members for name in member.example().headers()}
    return {
        "description": phrase,
        "headers": _headers("X-Request-ID", *sorted(fields)),
        "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }


def _headers(*names: str) -> Schema:
    return {name: {"required": True, "schema": {"type": "string"}} for name in names}


def _reference(model: type[BaseModel]) -> Schema:
    return {"$ref": REF_TEMPLATE.format(model=model.__name__)}


ERROR = _reference(ErrorResponse)


def _by_name(models: set[type[BaseModel]]) -> list[type[BaseModel]]:
    return sorted(models, key=lambda model: model.__name__)


def _schemas(app: Flask) -> Schema:
    operations = [get_operation(view) for view in app.view_functions.values()]
    requests = {operation.body for operation in operations if operation.body}
    models = [(operation.response, operation.already_done) for operation in operations]
    responses = {model for pair in models for model in pair if model}
    _, document = models_json_schema(
        [(model, "validation") for model in _by_name(requests)]
        + [(model, "serialization") for model in _by_name(responses | {ErrorResponse})],
        ref_template=REF_TEMPLATE,
    )
    schemas: Schema = document["$defs"]
    schemas["ErrorResponse"]["properties"]["code"]["enum"] = sorted(
        {error.code for error in iter_error_classes()}
    )
    return schemas
