"""Whether a creation body asks for an experiment that exists: a service may create its experiments at every start."""

from __future__ import annotations

from typing import Any

from ...engine.errors import OnearmError
from .spec import Spec


def asks_for(body: dict[str, Any], said: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Tell whether a body asks for the experiment whose spec is stored; `said` is the spec that the body makes today.

    It does where the two specs are one. An earlier version may have stored a spec without what there was not to say
    then, and with other defaults: it is asked for by a body that says nothing else than it does.
    """
    return said == stored or (_is_from_before(stored) and _agrees(body, stored))


def _is_from_before(stored: dict[str, Any]) -> bool:
    """Tell whether a stored spec would be stored otherwise today."""
    try:
        return Spec.from_json(stored).to_json() != stored
    except OnearmError:
        return True


def _agrees(body: dict[str, Any], stored: dict[str, Any]) -> bool:
    """Tell whether a body is the stored spec, once what it does not say of its policy is taken from there."""
    asked = {**body, "policy": _over(body.get("policy", {}), stored["policy"])}
    try:
        return Spec.from_stored(asked).to_json() == stored
    except OnearmError:
        return False


def _over(named: Any, stored: Any) -> Any:
    """Return the spec of a policy; what it does not name is taken from the stored one, where that has its name."""
    if not isinstance(named, dict) or not _is_policy(stored) or named.get("name", stored["name"]) != stored["name"]:
        return named
    given = named.get("params", {})
    if not isinstance(given, dict):
        return named
    nested = {key: _over(value, stored["params"].get(key)) for key, value in given.items() if _is_policy(value)}
    return {**stored, "params": stored["params"] | given | nested}


def _is_policy(value: Any) -> bool:
    return isinstance(value, dict) and "name" in value
