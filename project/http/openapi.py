"""The API document (OpenAPI 3.1), built from the routes and their decorators."""

import re
from collections.abc import Iterator
from http import HTTPStatus
from inspect import getdoc
from itertools import groupby
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from project.errors import InternalError, ServiceError
from project.http.contract import Operation, View, operation_of
from project.http.envelope import ErrorResponse
from project.http.payload import MEDIA_TYPE
from project.version import VERSION

DESCRIPTION = """\
Accounts and tokens for every other service of a product.

Every response is JSON with `status` and `message` or `data`; every error has a stable `code` beside
its message. Any path may also respond with 404 `not_found` and 405 `method_not_allowed`.
"""
LICENSE = {"name": "MIT", "identifier": "MIT"}
TAGS = {
    "auth": "Registration, login, tokens and sessions.",
    "mail": "Password resets, verification of addresses, and notices; where mail is set up.",
    "dev_mail": "The mail folder, for development.",
    "users": "Accounts.",
    "services": "For the other services of a product, and for proxies.",
    "health": "Health checks for orchestrators and load balancers.",
    "metrics": "Metrics for Prometheus.",
    "system": "This document.",
    "docs": "A page to try every request in.",
}
SCHEMES = {
    "auth_token": ("bearer", "The `auth_token` of a login or registration."),
    "service_token": (
        "bearer",
        "A token from the operator: one of SERVICE_TOKENS, or METRICS_TOKEN.",
    ),
    "client_secret_basic": ("basic", "Any client id, with a service token as the client secret."),
}
REF_TEMPLATE = "#/components/schemas/{model}"
HIDDEN_METHODS = {"HEAD", "OPTIONS"}
Schema = dict[str, Any]


def of(app: Flask) -> Schema:
    """Return the app's document, made at the first call."""
    if "api_document" not in app.extensions:
        app.extensions["api_document"] = build(app)
    document: Schema = app.extensions["api_document"]
    return document


def build(app: Flask) -> Schema:
    """Return the document of every route of the app."""
    paths: Schema = {}
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - HIDDEN_METHODS):
            path = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
            security = _security(app, operation_of(view))
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


def error_classes(root: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    """Yield every class of error that the service knows."""
    for member in root.__subclasses__():
        if hasattr(member, "code"):
            yield member
        yield from error_classes(member)


def _tags(paths: Schema) -> list[Schema]:
    """Return the tags of the operations that the app has, in the order of TAGS."""
    operations = [operation for path in paths.values() for operation in path.values()]
    used = {tag for operation in operations for tag in operation["tags"]}
    return [{"name": name, "description": TAGS[name]} for name in TAGS if name in used]


def _security(app: Flask, operation: Operation) -> Schema:
    """Return the token that an operation requires, by name; an empty list for a public one."""
    is_public = not operation.secured or bool(app.config.get(operation.public_where))
    return {"security": [] if is_public else [{name: []} for name in operation.secured]}


def _operation(rule: Rule, view: View) -> Schema:
    operation = operation_of(view)
    summary, _, description = (getdoc(view) or "").partition("\n\n")
    described: Schema = {
        "operationId": rule.endpoint.rpartition(".")[2],
        "tags": [rule.endpoint.partition(".")[0]],
        "summary": summary.replace("\n", " "),
        "responses": {str(operation.status): _success(operation)} | _refusals(operation),
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


def _success(operation: Operation) -> Schema:
    schema = _reference(operation.answer) if operation.answer else {}
    return {
        "description": HTTPStatus(operation.status).phrase,
        "headers": _headers("X-Request-ID"),
        "content": {media_type: {"schema": schema} for media_type in operation.media_types},
    }


def _refusals(operation: Operation) -> Schema:
    """Return an answer a status, with an example a code."""
    known: set[type[ServiceError]] = {*operation.errors, InternalError}
    errors = sorted(known, key=lambda error: (error.status, error.code))
    return {
        str(status): _refusal(HTTPStatus(status).phrase, list(members))
        for status, members in groupby(errors, key=lambda error: error.status)
    }


def _refusal(phrase: str, members: list[type[ServiceError]]) -> Schema:
    examples = {member.code: {"value": member.example().body()} for member in members}
    schema = {
        "allOf": [REFUSAL],
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


REFUSAL = _reference(ErrorResponse)


def _schemas(app: Flask) -> Schema:
    operations = [operation_of(view) for view in app.view_functions.values()]
    requests = {operation.body for operation in operations if operation.body}
    responds = {operation.answer for operation in operations if operation.answer} | {ErrorResponse}
    _, document = models_json_schema(
        [(model, "validation") for model in sorted(requests, key=lambda model: model.__name__)]
        + [
            (model, "serialization") for model in sorted(responds, key=lambda model: model.__name__)
        ],
        ref_template=REF_TEMPLATE,
    )
    schemas: Schema = document["$defs"]
    schemas["ErrorResponse"]["properties"]["code"]["enum"] = sorted(
        {error.code for error in error_classes()}
    )
    return schemas
