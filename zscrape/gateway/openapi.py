"""The API's own description, drawn from its routes and structs: OpenAPI 3.1."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from starlette.routing import BaseRoute, Route

from zscrape import __version__
from zscrape.gateway.envelope import Envelope, Problem, TaskSummary
from zscrape.gateway.examples import BODIES, PARAMETERS
from zscrape.gateway.operations import JSON, OPERATIONS, Operation, Schema

_REFERENCE: Final = "#/components/schemas/{name}"
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_CONVERTER: Final = re.compile(r":\w+\}")  # as in `{key:path}`, which is the router's alone
_CALL: Final = re.compile(r"^`(?P<method>[A-Z]+) [^`]*`:\s*")
_PROBLEM_TYPE: Final = "application/problem+json"
_BODILESS: Final = frozenset({"GET", "HEAD", "DELETE"})
_ANY_BODY: Final = Operation(body={"type": "object"}, is_body_needed=False)
_NO_BODY: Final = Operation()
_KEY: Final[list[dict[str, list[str]]]] = [{"key": []}, {"api_key": []}]
# The groups of calls with which a reader begins and ends.
_FIRST: Final = ("scrape", "tasks", "scripts", "schedules")
_LAST: Final = "gateway"
# What each of the headers that many calls know is for.
_HEADERS: Final[Mapping[str, Schema]] = {
    "Accept-Language": {"type": "string", "examples": ["en", "ko"]},
}


def describe(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """Return the OpenAPI document of these routes; what others have designed is told by them."""
    served = [
        (route, method)
        for route in routes
        if isinstance(route, Route) and route.include_in_schema
        for method in sorted((route.methods or set()) - {"HEAD"})
    ]
    structs = _structs(served)
    described = [_described(each) for each in structs]
    _, components = msgspec.json.schema_components(described, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for route, method in served:
        paths.setdefault(told_path(route.path), {})[method.lower()] = _operation(route, method)
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "zscrape",
            "version": __version__,
            "description": "Runs versioned scraping scripts on a cluster of workers.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": _KEY,
        "tags": _tags(paths),
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
            },
        },
    }
    told: dict[str, Any] = _portable(document)
    return told


def _structs(served: Iterable[tuple[Route, str]]) -> list[type]:
    """Return every struct that the document speaks of, each once."""
    found: dict[type, None] = {Envelope: None, Problem: None, TaskSummary: None}
    for route, method in served:
        known = _known(route, method)
        bodies = [known.body, *(each for told in known.answers.values() for each in _types(told))]
        found |= {each: None for each in bodies if isinstance(each, type)}
    return list(found)


def _types(told: Mapping[str, type | Schema] | None) -> Iterable[type | Schema]:
    return () if told is None else told.values()


def _known(route: Route, method: str) -> Operation:
    known = OPERATIONS.get((method, route.path))
    return known or (_NO_BODY if method in _BODILESS else _ANY_BODY)


def _operation(route: Route, method: str) -> dict[str, Any]:
    known = _known(route, method)
    summary, description = _words(route.endpoint)
    name = re.sub("[^a-zA-Z0-9]+", "_", told_path(route.path))
    told: dict[str, Any] = {
        "operationId": f"{method.lower()}{name}".rstrip("_"),
        "summary": summary,
        "tags": [_tag(route.path)],
        "parameters": [*_path_parameters(route.path), *_query(known), *_language()],
        "responses": _responses(known),
    }
    if description:
        told["description"] = description
    if known.is_open:
        told["security"] = []
    if known.body is not None:
        content: dict[str, Any] = {"schema": _schema(known.body)}
        if (method, route.path) in BODIES:
            content["example"] = BODIES[method, route.path]
        told["requestBody"] = {"required": known.is_body_needed, "content": {JSON: content}}
    return told


def _words(endpoint: Any) -> tuple[str, str]:
    """Return the first sentence of an endpoint's docstring, without its call, and the rest."""
    call = endpoint if inspect.isroutine(endpoint) else type(endpoint)
    first, _, rest = (inspect.getdoc(call) or "").partition("\n\n")
    summary = _CALL.sub("", " ".join(first.split()))
    return summary[:1].upper() + summary[1:], rest.partition("\nRaises:")[0].strip()


def _tag(path: str) -> str:
    if path == "/scrape":
        return _FIRST[0]
    parts = [part for part in path.split("/") if part and part != "v1"]
    return parts[0] if path.startswith("/v1/") and parts else _LAST


def _tags(paths: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the groups of calls, those that most readers look for first."""
    found = {each["tags"][0] for methods in paths.values() for each in methods.values()}
    between = sorted(found - {*_FIRST, _LAST})
    return [{"name": each} for each in (*_FIRST, *between, _LAST) if each in found]


def told_path(path: str) -> str:
    """Return a route's path as the document has it: a parameter without its converter."""
    return _CONVERTER.sub("}", path)


def _path_parameters(path: str) -> list[dict[str, Any]]:
    found = []
    for name in _PARAMETER.findall(told_path(path)):
        told = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        example = PARAMETERS.get(name) if name != "name" or path.startswith("/v1/scripts") else None
        found.append(told if example is None else {**told, "example": example})
    return found


def _query(known: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema}
        for name, schema in known.query.items()
    ]


def _language() -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "schema": schema}
        for name, schema in _HEADERS.items()
    ]


def _responses(known: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for status, content in known.answers.items():
        told[status] = {"description": _STATUSES.get(status, "As told.")}
        if content is not None:
            told[status]["content"] = {
                media: {"schema": _schema(each)} for media, each in content.items()
            }
    failure: dict[str, Any] = {_PROBLEM_TYPE: {"schema": _schema(Problem)}}
    if known.has_envelope:
        failure[JSON] = {"schema": _schema(Envelope)}
    told["default"] = {"description": "It was refused, or failed.", "content": failure}
    return told


_STATUSES: Final = {
    "200": "Done.",
    "202": "Accepted; it goes on.",
    "204": "Done; there is nothing to tell.",
    "303": "The data is large and stands elsewhere.",
    "503": "Not now.",
    "504": "The time for it has passed.",
}


def _schema(kind: type | Schema) -> Schema:
    return {"$ref": _REFERENCE.format(name=kind.__name__)} if isinstance(kind, type) else kind


def _described(kind: type) -> type:
    """Return a struct as it is told of: what is handed on byte by byte is an object there."""
    fields = msgspec.structs.fields(kind)
    if not any(isinstance(field.default, msgspec.Raw) for field in fields):
        return kind
    told: list[Any] = []
    for field in fields:
        if isinstance(field.default, msgspec.Raw):
            told.append((field.name, dict[str, Any], msgspec.field(default_factory=dict)))
        elif field.required:
            told.append((field.name, field.type))
        elif field.default is not msgspec.NODEFAULT:
            told.append((field.name, field.type, field.default))
        else:
            told.append(
                (field.name, field.type, msgspec.field(default_factory=field.default_factory))
            )
    made = msgspec.defstruct(kind.__name__, told, forbid_unknown_fields=True, kw_only=True)
    made.__doc__ = kind.__doc__
    return made


def _portable(value: Any) -> Any:
    """Return a document whose patterns every reader knows: Python's anchors are its own."""
    if isinstance(value, dict):
        return {
            name: each.replace(r"\A", "^").replace(r"\Z", "$")
            if name == "pattern" and isinstance(each, str)
            else _portable(each)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_portable(each) for each in value]
    return value
