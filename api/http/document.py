"""The OpenAPI document of the table of routes: it says what is served, as both are made from the same lines."""

from __future__ import annotations

import re
from importlib.metadata import version
from types import UnionType
from typing import Any, get_args

import msgspec

from ..access.caller import OPEN
from . import schemas
from .endpoint import TITLES
from .free_objects import with_free_fields
from .routes import ITEMS, PROBES, TABLE, Entry


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the table."""
    documented = [entry for entry in TABLE if None not in entry.answers.values()]
    models = {model for entry in documented for t in (entry.body, *entry.answers.values()) for model in _kinds(t)}
    models.update({schemas.Problem}, *ITEMS.values())
    _, components = msgspec.json.schema_components(
        sorted(models, key=lambda model: model.__name__), ref_template="#/components/schemas/{name}"
    )
    for (model, field), items in ITEMS.items():
        some = {"type": "array", "items": {"anyOf": [_reference(item) for item in items]}}
        components[model.__name__]["properties"][field] = some
    paths: dict[str, dict[str, Any]] = {}
    for entry in documented:
        paths.setdefault(entry.path, {})[entry.method.lower()] = _operation(entry)
    return {
        "openapi": "3.1.0",
        "info": {"title": "onearm", "version": version("onearm"), "description": "Online decision engine."},
        "paths": paths,
        "components": {
            "schemas": with_free_fields(components),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key, oa_..."}},
        },
    }


def _operation(entry: Entry) -> dict[str, Any]:
    room = entry.handler.__module__.rsplit(".", 1)[-1]
    responses = {
        str(status): {
            "description": " Or: ".join((kind.__doc__ or "").strip() for kind in _kinds(model)) or "The log.",
            "content": _bytes(entry.media) if model is bytes else _content(model, "application/json"),
        }
        for status, model in entry.answers.items()
        if model is not None
    }
    for status in _errors(entry):
        responses[str(status)] = {
            "description": TITLES[status],
            "content": _content(schemas.Problem, "application/problem+json"),
        }
    operation: dict[str, Any] = {
        "operationId": f"{room}_{entry.operation or entry.handler.__name__}",
        "tags": [room],
        "summary": (entry.handler.__doc__ or "").strip().splitlines()[0].rstrip("."),
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in re.findall(r"{(\w+)}", entry.path)
            ),
            *entry.parameters,
        ],
        "responses": responses,
    }
    if entry.role != OPEN:
        operation["security"] = [{"key": [entry.role]}]
    if entry.body is not None:
        content = _bytes(entry.media) if entry.body is bytes else _content(entry.body, "application/json")
        operation["requestBody"] = {"required": entry.body_required, "content": content}
    return operation


def _errors(entry: Entry) -> list[int]:
    """Return the statuses of an entry's problems, with those of whom the guard refuses, or a key or role is missing."""
    refused = (
        () if entry.path in PROBES else (401, 403, 421, 429) if entry.method == "GET" else (401, 403, 415, 421, 429)
    )
    return sorted((*entry.errors, *refused))


def _content(model: type | UnionType, kind: str) -> dict[str, Any]:
    some = [_reference(one) for one in _kinds(model)]
    return {kind: {"schema": some[0] if len(some) == 1 else {"anyOf": some}}}


def _bytes(media: tuple[str, ...]) -> dict[str, Any]:
    return {kind: {"schema": {"type": "string", "format": "binary"}} for kind in media}


def _kinds(model: type | UnionType | None) -> tuple[type, ...]:
    """Return the models of a union, or the one; none of None and of bytes."""
    models = get_args(model) if isinstance(model, UnionType) else (model,)
    return tuple(one for one in models if one not in (None, bytes))


def _reference(model: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}
