"""Candidates: whose value is asked for, as people name them; and sweeps, many candidates in one word.

"logged"       the policy that made the log
"first"        the first action of each set, the baseline of Vowpal Wabbit's logs
"action:3"     the action of that label, or else of that number, from 0
"uniform", 'linucb:{"alpha":0.5}'   a policy, learning as it goes through the log
"columns:p_*", ...   probabilities that stand in a table; or the name of a function of a batch
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.storage.numerals import sure_number
from ...engine.vocabulary import Policy
from ...policies import catalog
from .candidate_kinds import (
    COLUMNS,
    LOGGED,
    ActionCandidate,
    Candidate,
    ColumnsCandidate,
    LoggedCandidate,
    PolicyCandidate,
    of_function,
    of_policy,
)
from .own import is_batch_function

SWEPT = 7  # values of a sweep that does not say how many
SWEPT_MAX = 1000


def candidate(text: str) -> Candidate:
    """Return the candidate that a person named.

    >>> candidate("action:sale")
    ActionCandidate(label='action:sale', action='sale')
    """
    if text == LOGGED:
        return LoggedCandidate()
    if text == "first":
        return ActionCandidate(text, 0)
    word, colon, number = text.partition(":")
    if word == "action" and colon:
        if not number:
            raise InvalidInput("bad_target", f"{text!r} names no action: say action:0, action:1, ..., or its label")
        return ActionCandidate(text, number)
    if word in COLUMNS:
        if not number:
            raise InvalidInput(
                "bad_target", f"{text!r} names nothing: say column:NAME, columns:p_*, table:FILE, frequency:NAME"
            )
        return ColumnsCandidate(text, word, number)
    if catalog.knows(text) and is_batch_function(function := catalog.factory(text)):
        return of_function(function, text)
    try:
        return of_policy(catalog.parse(text))
    except InvalidInput as refusal:
        if refusal.code != "unknown_policy" or colon:
            raise
        raise InvalidInput(refusal.code, f"{refusal}; or did you mean action:{text}?") from None


def policy_named(text: str) -> Policy:
    """Return the policy that a person named, which is to decide on a log anew.

    Raises `InvalidInput` ("bad_policy") for what is a target, and decides nothing anew.
    """
    word = text.partition(":")[0]
    is_function = catalog.knows(text) and is_batch_function(catalog.factory(text))
    if is_function or word in (LOGGED, "first", "action", *COLUMNS):
        raise InvalidInput(
            "bad_policy",
            f"{text!r} is a target for evaluate, and no policy: replay lets policies decide anew, as ucb1 or linucb",
        )
    return catalog.parse(text)


def sweep(text: str, given: Sequence[Policy]) -> list[PolicyCandidate]:
    """Return a policy with each value of one param: "squarecb.gamma=1:1000:log", or "ucb1.alpha=0.1,0.5,1".

    A range has 7 values, or as many as a fourth word says: "ucb1.alpha=0:2:linear:9". Where a policy of that name is
    among the `given` ones, its other params hold.

    >>> [each.label for each in sweep("ucb1.alpha=0.5:2:log:3", [])]
    ['ucb1(alpha=0.5)', 'ucb1', 'ucb1(alpha=2)']
    """
    head, equals, values = text.partition("=")
    name, dot, param = head.partition(".")
    if not (equals and dot and name and param and values):
        raise InvalidInput(
            "bad_sweep", f"{text!r} is no sweep: say POLICY.PARAM=LOW:HIGH:log, LOW:HIGH:linear, or A,B,C"
        )
    params: dict[str, Any] = next((policy.spec["params"] for policy in given if policy.name == name), {})
    found = [of_policy(catalog.make(name, **params | {param: value})) for value in _values(text, values)]
    labels = [each.label for each in found]
    return [each for i, each in enumerate(found) if each.label not in labels[:i]]


def _values(text: str, values: str) -> list[float]:
    try:
        if ":" not in values:
            return [_whole(sure_number(value)) for value in values.split(",")]
        low, high, *rest = values.split(":")
        first, last = sure_number(low), sure_number(high)
        scale, count = [*rest, "linear"][0], int(rest[1]) if len(rest) > 1 else SWEPT
    except ValueError:
        raise InvalidInput("bad_sweep", f"{text!r} has a value that is no number: {values!r}") from None
    if scale not in ("log", "linear") or len(rest) > 2 or not 2 <= count <= SWEPT_MAX:
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


def checked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, of which no two may be the same."""
    labels = [each.label for each in candidates]
    for label in labels:
        if labels.count(label) > 1:
            raise InvalidInput("repeated_target", f"{label} is named {labels.count(label)} times: name each once")
    return [*candidates]


def added(candidates: Sequence[Candidate], swept: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, and those swept that are not among them."""
    labels = {each.label for each in candidates}
    return [*candidates, *(each for each in swept if each.label not in labels)]
