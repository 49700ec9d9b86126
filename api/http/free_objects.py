"""Objects of any fields, as the OpenAPI document says them so that makers of clients allow these fields."""

from __future__ import annotations

from typing import Any


def with_free_fields(schema: Any) -> Any:
    """Return a schema in which each object of no known fields says that it may have any.

    That holds where nothing is said as well, but openapi-typescript then takes the object for an empty one.

    >>> with_free_fields({"anyOf": [{"type": "object"}, {"type": "null"}]})
    {'anyOf': [{'type': 'object', 'additionalProperties': True}, {'type': 'null'}]}
    """
    if isinstance(schema, list):
        return [with_free_fields(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    is_free = schema.get("type") == "object" and not {"properties", "additionalProperties"} & schema.keys()
    told = {name: with_free_fields(one) for name, one in schema.items()}
    return told | {"additionalProperties": True} if is_free else told
