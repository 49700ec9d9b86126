"""Ids that can stand in a URL, and bodies of which every field is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

from ...engine.errors import InvalidInput, as_seen
from ...engine.storage.numerals import natural_in

ID_LENGTH_MAX = 256


def check_id(name: str, value: Any) -> str:
    """Return an id: 1 to 256 printable characters, no part between slashes . or .., and not beginning with a tilde."""
    if not isinstance(value, str) or not 1 <= len(value) <= ID_LENGTH_MAX:
        raise InvalidInput(
            "bad_id", f"{name} is {as_seen(value)}: it must be a string of 1 to {ID_LENGTH_MAX} characters"
        )
    if not is_id(value):
        raise InvalidInput(
            "bad_id",
            f"{name} is {as_seen(value)}: an id has printable characters only, is not . or .. (nor is a part of it "
            "between slashes), and does not begin with a tilde (~12 is the id that the service gives to decision 12)",
        )
    return value


def ids_of(name: str, ids: Any) -> list[Any] | None:
    """Return ids, an argument of this name, as a list; refuse what is no list of any. None stays None."""
    if ids is None:
        return None
    if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
        raise InvalidInput(f"bad_{name}", f"{name} is {as_seen(ids)}: it must be a list of ids")
    return list(ids)


def is_id(text: str) -> bool:
    """Tell whether a client's id is one that can stand in a URL; paths with . or .. are rewritten by clients.

    >>> [is_id(text) for text in ("a b", "caf\u00e9", "a/b", "..", "a/..", "~1", "")]
    [True, True, True, False, False, False, False]
    """
    return (
        1 <= len(text) <= ID_LENGTH_MAX
        and not text.startswith("~")
        and text.isprintable()
        and ("." not in text or not any(part in (".", "..") for part in text.split("/")))
    )


def own_number(decision_id: str) -> int | None:
    """Return the number of a decision whose id the service made, None where somebody else did.

    >>> own_number("~12"), own_number("~"), own_number("~\u0661"), own_number("12")
    (12, None, None, None)
    """
    return natural_in(decision_id[1:]) if decision_id.startswith("~") and len(decision_id) < 20 else None


def in_url(text: str) -> str:
    """Return an id as it stands in a URL.

    >>> in_url("meta-llama/llama 3?")
    'meta-llama%2Fllama%203%3F'
    """
    return quote(text, safe="")


def parted(raw_path: bytes) -> str:
    """Return the decoded path of a URL, but / within a part stays %2F, and % is %25: so an id has no end in it.

    >>> parted(b"/v1/experiments/meta%2fllama%203%3Aarchive")
    '/v1/experiments/meta%2Fllama 3:archive'
    """
    parts = raw_path.decode("latin-1").split("/")
    return "/".join(unquote(part).replace("%", "%25").replace("/", "%2F") for part in parts)


def of_part(part: str) -> str:
    """Return the id that a part of such a path is.

    >>> of_part("meta%2Fllama 3"), of_part("a%252Fb")
    ('meta/llama 3', 'a%2Fb')
    """
    return part.replace("%2F", "/").replace("%25", "%")


def check_fields(
    what: str,
    body: Any,
    known: Set[str],
    planned: Set[str] = frozenset(),
    inside: Mapping[str, Set[str]] = MappingProxyType({}),
) -> None:
    """Refuse a body that is no object, or that has fields nobody reads; `inside` are the fields of its own fields."""
    if not isinstance(body, dict):
        raise InvalidInput("bad_body", f"{what} is {as_seen(body)}: it must be a JSON object")
    if early := sorted(planned & set(body)):
        raise InvalidInput("not_built", f"{what} has the field {early[0]!r}, which is not built yet: leave it out")
    if unknown := sorted(set(body) - known):
        says = f"{what} has the unknown field {unknown[0]!r}: known are {', '.join(sorted(known))}"
        if place := next((name for name, fields in inside.items() if unknown[0] in fields), ""):
            says += f"; {place!r} has a field of that name"
        raise InvalidInput("unknown_field", says)
