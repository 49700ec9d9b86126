"""Whether a creation body asks for an experiment that exists: a service may create its experiments at every start."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

from ...engine.errors import OnearmError
from ...policies import catalog
from .spec import Spec

SHOWN = 80  # characters of a value that differs
DIFFERENCES = 3  # that a message tells


class Difference(NamedTuple):
    """A field of a spec that differs, as "policy.params.alpha", and in words what is there and what was sent."""

    field: str
    there: str
    sent: str


def asks_for(body: dict[str, Any], said: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Tell whether a body asks for the experiment whose spec is stored; `said` is the spec that the body makes today.

    It does where the two specs are one. A spec of an earlier version may lack params and fields that came later, and
    have other defaults than those of today: a body asks for it that contradicts nothing of what it holds. And where a
    body names no policy the default of earlier versions will do: the one inside the default of today.
    """
    said, known = _as_meant(said), _as_meant(stored)
    if said == known or (_is_from_before(stored) and _agrees(body, stored)):
        return True
    inside = said["policy"]["params"].get("policy")
    return "policy" not in body and said | {"policy": inside} == known


def differences(said: dict[str, Any], stored: dict[str, Any]) -> list[Difference]:
    """Return the fields in which a spec differs from the one that is stored, the first few of them.

    Of arms it tells the ids alone: what describes them may be long, and of people.

    >>> differences({"seed": 1, "policy": {"name": "ucb1"}}, {"seed": 1, "policy": {"name": "exp3_ix"}})
    [Difference(field='policy', there='"exp3_ix"', sent='"ucb1"')]
    """
    return list(_differing("", _as_meant(said), _as_meant(stored)))[:DIFFERENCES]


def _differing(field: str, said: Any, stored: Any) -> Iterator[Difference]:
    if said == stored:
        return
    if field == "arms" and isinstance(said, list) and isinstance(stored, list):
        ids = [json.dumps([arm["id"] for arm in arms]) for arms in (stored, said)]
        if ids[0] != ids[1]:
            yield Difference(field, *map(_cut, ids))
            return
        other = [arm["id"] for arm, before in zip(said, stored, strict=True) if arm != before]
        yield Difference(field, f"another description of {_cut(json.dumps(other[0]))}", "this one")
    elif not isinstance(said, dict) or not isinstance(stored, dict):
        yield Difference(field, _told(stored), _told(said))
    elif (words := [word for word in ("name", "kind") if said.get(word) != stored.get(word)]) and field:
        yield Difference(field, _told(stored.get(words[0])), _told(said.get(words[0])))
    else:
        for name in dict.fromkeys([*stored, *said]):
            yield from _differing(f"{field}.{name}" if field else name, said.get(name), stored.get(name))


def _told(value: Any) -> str:
    return "nothing" if value is None else _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _as_meant(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a spec without the word that its range of rewards was not declared: it holds all the same."""
    if "reward" not in spec:
        return spec
    return spec | {"reward": {field: value for field, value in spec["reward"].items() if field != "supposed"}}


def _is_from_before(stored: dict[str, Any]) -> bool:
    """Tell whether an earlier version stored a spec: sent as a body today, it would be stored otherwise."""
    try:
        return Spec.from_json(stored).to_json() != stored
    except OnearmError:
        return True


def _agrees(body: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Tell whether a body means the stored spec, once what it leaves out of its policy is taken from there."""
    asked = {**body, "policy": _filled_in(body.get("policy", {}), stored["policy"])}
    try:
        return Spec.from_stored(asked).to_json() == stored
    except OnearmError:
        return False


def _filled_in(named: Any, stored: Any) -> Any:
    """Return the spec of a policy as a body names it; what it leaves out is taken from the stored one of its name."""
    if isinstance(named, str):
        named = catalog.spec_of(named)
    named = catalog.in_full(named)
    if not isinstance(named, dict) or not _is_policy(stored) or named.get("name", stored["name"]) != stored["name"]:
        return named
    given = named.get("params", {})
    if not isinstance(given, dict):
        return named
    inner = {key: stored["params"].get(key) for key in given}
    nested = {key: _filled_in(given[key], policy) for key, policy in inner.items() if _is_policy(policy)}
    return {**stored, "params": stored["params"] | given | nested}


def _is_policy(value: Any) -> bool:
    return isinstance(value, dict) and "name" in value
