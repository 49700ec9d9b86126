"""Candidates: whose value is asked for, as people name them; and sweeps, many candidates in one word.

"logged"       the policy that made the log
"first"        the first action of each set, the baseline of Vowpal Wabbit's logs
"action:3"     the action of that label, or else of that number, from 0
"uniform", 'linucb:{"alpha":0.5}'   a policy, learning as it goes through the log
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.replay.matching import Contender, Learning
from ...engine.replay.targets import Fixed, Logged, Target
from ...engine.vocabulary import Policy, Problem
from ...policies import catalog
from .own import COLUMNS, Function, Own, is_batch_function, own

LOGGED, UNIFORM = "logged", "uniform"  # what made the log; the policy that takes every action alike
SWEPT = 7  # values of a sweep that does not say how many
SWEPT_MAX = 1000


@dataclass(frozen=True)
class Candidate:
    """Whose value is asked for."""

    label: str  # as people see it; no two of a run are the same
    policy: Policy | None = None
    action: int | None = None  # of a candidate that takes one action; with none of these three, it is the log's own
    named: str | None = None  # what a person calls that action
    own: Own | None = None  # what a person brings

    @property
    def spec(self) -> dict[str, Any]:
        """Return {"name", "params"}, as JSON."""
        if self.policy is not None:
            return self.policy.spec
        if self.own is not None:
            return {"name": self.own.kind, "params": {"of": self.own.what}}
        if self.action is None and self.named is None:
            return {"name": LOGGED, "params": {}}
        return {"name": "action", "params": {"action": self.named if self.action is None else self.action}}

    def target(
        self, problem: Problem, rows: int, learn: Learning, seed: int, labels: Sequence[str] = (), part: int = 0
    ) -> Target:
        """Return it at the beginning of a log of so many rows, or of a part of one; not what is `own`.

        The log calls its arms by `labels`.
        """
        if self.policy is not None:
            return Contender(self.policy, problem, rows, learn=learn, seed=seed, part=part)
        if self.named is not None and self.named in labels:
            return Fixed(labels.index(self.named), problem.n_arms)
        if self.action is not None:
            return Fixed(self.action, problem.n_arms)
        if self.named is None:
            return Logged()
        known = f"it has {', '.join(labels)[:300]}" if labels else f"say action:0 to action:{problem.n_arms - 1}"
        raise InvalidInput("bad_target", f"the log has no action {self.named!r}: {known}")

    def stays(self, learn: Learning) -> bool:
        """Whether it is at the end of a log what it is at the beginning, so that parts of a log can be judged alone."""
        return self.policy is None or self.policy.name == UNIFORM or learn == "nothing"


def candidate(text: str) -> Candidate:
    """Return the candidate that a person named.

    >>> candidate("action:3").action, candidate("action:sale").named
    (3, 'sale')
    """
    if text == LOGGED:
        return Candidate(text)
    if text == "first":
        return Candidate(text, action=0)
    word, colon, number = text.partition(":")
    if word == "action" and colon:
        if not number:
            raise InvalidInput("bad_target", f"{text!r} names no action: say action:0, action:1, ..., or its label")
        return Candidate(text, action=int(number) if number.isdecimal() else None, named=number)
    if (brought := own(text)) is not None:
        return Candidate(text, own=brought)
    if text in catalog.names() and is_batch_function(function := catalog.factory(text)):
        return of_function(function, text)
    return of_policy(catalog.parse(text))


def of_function(function: Function, name: str) -> Candidate:
    """Return a function of a batch as a candidate."""
    return Candidate(name, own=Own("function", name, function))


def of_policy(policy: Policy) -> Candidate:
    """Return a policy as a candidate, with the params by which it differs from what it is without any."""
    return Candidate(catalog.label(policy.spec), policy)


def policy_named(text: str) -> Policy:
    """Return the policy that a person named, which is to decide on a log anew.

    Raises `InvalidInput` ("bad_policy") for what is a target, and decides nothing anew.
    """
    word = text.partition(":")[0]
    is_function = text in catalog.names() and is_batch_function(catalog.factory(text))
    if is_function or word in (LOGGED, "first", "action", *COLUMNS):
        raise InvalidInput(
            "bad_policy",
            f"{text!r} is a target for evaluate, and no policy: replay lets policies decide anew, as ucb1 or linucb",
        )
    return catalog.parse(text)


def sweep(text: str, given: list[Policy]) -> list[Candidate]:
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
            return [_whole(float(value)) for value in values.split(",")]
        low, high, *rest = values.split(":")
        first, last = float(low), float(high)
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


def checked(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates, of which no two may be the same."""
    labels = [each.label for each in candidates]
    for label in labels:
        if labels.count(label) > 1:
            raise InvalidInput("repeated_target", f"{label} is named {labels.count(label)} times: name each once")
    return candidates


def added(candidates: list[Candidate], swept: list[Candidate]) -> list[Candidate]:
    """Return the candidates, and those swept that are not among them."""
    labels = {each.label for each in candidates}
    return [*candidates, *(each for each in swept if each.label not in labels)]
