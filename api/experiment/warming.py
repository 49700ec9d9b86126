"""What an experiment may have compiled, all of it: for images and upgrades, where nobody is to meet the first tier."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...engine import loop
from ...engine.columns import empty
from ...engine.compiled.binding import Bound
from ...engine.errors import InvalidInput
from ...engine.kernel import Entry
from ...engine.protocol import explains
from ...engine.replay.folding import NOT_JUDGED
from ...engine.task import best_arm, hypotheses, thresholds
from ...engine.vocabulary import VECTOR_FEEDBACKS, Player
from ..kinds.table import kind_of
from .compiling import compile_bound, compile_explain, compile_law
from .spec import Spec

ARMS = [{"id": "a"}, {"id": "b"}]
NAMED = {"kind": "features"}
SLOTS = {"max": 2}
BALL: dict[str, Any] = {"kind": "ball", "dimension": 2}
SIMPLEX: dict[str, Any] = {"kind": "simplex", "dimension": 3}
# One of each: entries are compiled for kinds of contexts and feedback, and serve any number of arms or features.
PROBLEMS: list[dict[str, Any]] = [
    {"arms": ARMS},
    {"arms": ARMS, "problem": {"context": {"kind": "dense", "length": 2}}},
    {"arms": ARMS, "problem": {"context": NAMED}},
    {"arms": ARMS, "problem": {"states": {"count": 2}}},
    {"problem": {"actions": {"kind": "listed", "length": 2}}},
    {"problem": {"context": NAMED, "actions": {"kind": "listed"}}},
    {"arms": ARMS, "problem": {"kind": "lists", "slots": SLOTS}},
    {"problem": {"kind": "lists", "context": NAMED, "actions": {"kind": "listed"}, "slots": SLOTS}},
    {"problem": {"kind": "arm_stream", "slots": 2}},
    *(
        {"problem": {"kind": "vector", "domain": domain, "feedback": feedback}}
        for feedback in VECTOR_FEEDBACKS
        for domain in (BALL, SIMPLEX)
    ),
    *(
        {"problem": {"kind": "queries", "horizon": 10, **task.fields()}}
        for task in (best_arm(2), thresholds(4), hypotheses([[0, 1], [1, 0], [1, 1]]))
    ),
]
"""Creation bodies without a policy."""


def specs_of(policy: dict[str, Any]) -> list[Spec]:
    """Return an experiment of each sort that a policy fits; raise `InvalidInput` where it fits none."""
    found, why = [], None
    for problem in PROBLEMS:
        try:
            found.append(Spec.from_json({"experiment_id": "warm", "policy": policy, **problem}))
        except InvalidInput as error:
            why = error
    if not found and why is not None:
        raise why
    return found


def default_specs() -> list[Spec]:
    """Return an experiment of each sort that has a default policy, with that."""
    found = []
    for problem in PROBLEMS:
        with contextlib.suppress(InvalidInput):
            found.append(Spec.from_json({"experiment_id": "warm", **problem}))
    return found


def entries_of(spec: Spec) -> Iterator[Entry]:
    """Yield the entries that serving, explaining, recovering and verifying an experiment may call."""
    kind, params = kind_of(spec.problem), spec.policy.params
    yield from (entry for entry in kind.kernels(spec) if entry is not None)
    yield from spec.intake.entries()
    state = spec.policy.init(params, spec.problem)
    if kind.action_kind == "arm":
        yield from filter(None, compile_bound(spec, Bound(Player(params, state, spec.run, np.zeros(0)))))
    rows = params, state, spec.run, empty(0, spec.problem)
    yield from (loop.fold.entry(*rows, *NOT_JUDGED), loop.replay.entry(*rows))
    if kind.action_kind == "arm":
        yield compile_law(spec)
    if explains(params):
        yield compile_explain(spec)
