"""Sweeps: many policies in one word, a param at several values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..engine.errors import InvalidInput
from ..engine.storage.numerals import natural_in, sure_number
from ..engine.vocabulary import Policy
from ..policies import catalog

SWEPT = 7  # values of a sweep that does not say how many
SWEPT_MAX = 1000


def swept(text: str, given: Sequence[Policy]) -> list[Policy]:
    """Return a policy with each value of one param: "squarecb.gamma=1:1000:log", or "ucb1.alpha=0.1,0.5,1".

    A range has 7 values, or as many as a fourth word says: "ucb1.alpha=0:2:linear:9". Where a policy of that name is
    among the `given` ones, its other params hold.

    >>> [catalog.label(each.spec) for each in swept("ucb1.alpha=0.5:2:log:3", [])]
    ['ucb1(alpha=0.5)', 'ucb1', 'ucb1(alpha=2)']
    """
    name, param, values = _parts(text)
    params: dict[str, Any] = next((policy.spec["params"] for policy in given if policy.name == name), {})
    found = [catalog.make(name, **params | {param: value}) for value in _values(text, values)]
    specs = [each.spec for each in found]
    return [each for i, each in enumerate(found) if each.spec not in specs[:i]]


def label_among(spec: dict[str, Any], sweeps: Sequence[str]) -> str:
    """Return the label of a policy among those of sweeps: what is swept is told at its default too.

    >>> spec = catalog.make("ucb1").spec
    >>> label_among(spec, ["ucb1.alpha=0.5,2"]), label_among(spec, ["linucb.alpha=0.5,2"]), label_among(spec, [])
    ('ucb1(alpha=1)', 'ucb1', 'ucb1')
    """
    told = [param for name, param, _ in map(_parts, sweeps) if name == spec["name"]]
    params = spec["params"]
    plain = {param: _whole(params[param]) for param in told if isinstance(params.get(param), float)}
    return catalog.label(spec | {"params": params | plain}, told)


def _parts(text: str) -> tuple[str, str, str]:
    """Return of which policy and param a sweep is, and its values."""
    head, _, values = text.partition("=")
    name, _, param = head.partition(".")
    if not (name and param and values):
        raise InvalidInput(
            "bad_sweep", f"{text!r} is no sweep: say POLICY.PARAM=LOW:HIGH:log, LOW:HIGH:linear, or A,B,C"
        )
    return name, param, values


def _values(text: str, values: str) -> list[float]:
    try:
        if ":" not in values:
            return [_whole(sure_number(value)) for value in values.split(",")]
        low, high, *rest = values.split(":")
        first, last = sure_number(low), sure_number(high)
        scale, count = [*rest, "linear"][0], natural_in(rest[1]) if len(rest) > 1 else SWEPT
    except ValueError:
        raise InvalidInput("bad_sweep", f"{text!r} has a value that is no number: {values!r}") from None
    if scale not in ("log", "linear") or len(rest) > 2 or count is None or not 2 <= count <= SWEPT_MAX:
        raise InvalidInput(
            "bad_sweep", f"{values!r} is no range: say LOW:HIGH:log or LOW:HIGH:linear, and :N for 2 to {SWEPT_MAX}"
        )
    if not (math.isfinite(first) and math.isfinite(last) and first < last) or (scale == "log" and first <= 0):
        raise InvalidInput("bad_sweep", f"{values!r} is no range: it must ascend, and by log begin above 0")
    spaced = np.geomspace if scale == "log" else np.linspace
    return [_whole(float(f"{value:.6g}")) for value in spaced(first, last, count)]


def _whole(value: float) -> float:
    """Return an int for a whole number: params of both kinds take it."""
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
