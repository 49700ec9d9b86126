"""Ids that can stand in a URL, and bodies of which every field is read."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import Any
from urllib.parse import quote

from ...engine.errors import InvalidInput

ID_LENGTH_MAX = 256


def check_id(name: str, value: Any) -> str:
    """Return an id: 1 to 256 printable characters, without a slash and not beginning with a tilde."""
    if not isinstance(value, str) or not 1 <= len(value) <= ID_LENGTH_MAX:
        raise InvalidInput("bad_id", f"{name} must be a string of 1 to {ID_LENGTH_MAX} characters")
    if not is_id(value):
        raise InvalidInput(
            "bad_id",
            f"{name} is {value!r}: an id has printable characters only, no slash, is not . or .., and does not begin "
            "with a tilde (~12 is the id that the service gives to decision 12)",
        )
    return value


def is_id(text: str) -> bool:
    """Tell whether a client's id is one that can stand in a URL; paths with . or .. are rewritten by clients.

    >>> [is_id(text) for text in ("a b", "caf\u00e9", "..", "~1", "a/b", "")]
    [True, True, False, False, False, False]
    """
    return (
        1 <= len(text) <= ID_LENGTH_MAX
        and "/" not in text
        and not text.startswith("~")
        and text not in (".", "..")
        and text.isprintable()
    )


def in_url(text: str) -> str:
    """Return an id as it stands in a URL.

    >>> in_url("a b?")
    'a%20b%3F'
    """
    return quote(text, safe="")


def check_fields(what: str, body: Any, known: Set[str], planned: Set[str] = frozenset()) -> None:
    """Refuse a body that is no object, or that has fields nobody reads."""
    if not isinstance(body, dict):
        raise InvalidInput("bad_body", f"{what} is {json.dumps(body)[:80]}: it must be a JSON object")
    if early := sorted(planned & set(body)):
        raise InvalidInput("not_built", f"{what} has the field {early[0]!r}, which is not built yet: leave it out")
    if unknown := sorted(set(body) - known):
        raise InvalidInput(
            "unknown_field",
            f"{what} has the unknown field {unknown[0]!r}: known are {', '.join(sorted(known))}",
        )
