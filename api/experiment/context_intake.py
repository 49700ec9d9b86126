"""Contexts as clients send them: lists of numbers, or JSON objects (`engine/features.py`); and actions of a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Literal

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.features import Encoder
from ...engine.featuriser import number_rows
from ...engine.featuriser.desk import desk
from ...engine.kernel import Entry
from ...engine.problem import check_context, check_cost, check_costs
from ...engine.vocabulary import Array, Problem
from .ids import check_fields
from .intake import ACTIONS, Intake, Named

LENGTH_MAX = 100_000  # numbers of a context, or of an action
SIZES = ("length", "dimension")  # fields of different kinds of contexts, of which one is easily taken for the other
ACTIONS_MAX = 10_000
NUMBERS_MAX = 2**24  # of all actions of a call: 128 MB


@dataclass(frozen=True)
class ContextIntake(Intake):
    """Contexts as lists of numbers or as objects, or none."""

    kind: Literal["none", "dense", "features"] = "none"
    length: int = 0  # numbers of a dense context
    encoder: Encoder | None = None  # of contexts of the kind "features"
    per_call: bool = False
    action_length: int = 0  # numbers of each per-call action; 0 where they are objects
    actions_max: int = ACTIONS

    @classmethod
    def from_json(cls, context: Any, actions: Any) -> ContextIntake:
        """Check `problem.context` and `problem.actions`."""
        kind, length, encoder = _context(context)
        check_fields("problem.actions", actions, {"kind", "length", "max"})
        action_kind = actions.get("kind", "fixed")
        if action_kind == "fixed":
            check_fields("problem.actions", actions, {"kind"})
            return cls(kind, length, encoder)
        if action_kind != "listed":
            raise InvalidInput(
                "bad_actions",
                f"the kind of actions is {as_seen(action_kind)}: it must be 'fixed' (by arms) or 'listed'",
            )
        most = _whole("bad_actions", "problem.actions.max", actions.get("max", ACTIONS), ACTIONS_MAX)
        if encoder is not None and "length" in actions:
            raise InvalidInput(
                "bad_actions", "problem.actions has a length, but the context has named features: leave the length out"
            )
        if encoder is None and "length" not in actions:
            raise InvalidInput(
                "bad_actions",
                "per-call actions need features: give problem.actions a length (numbers of each action), or the "
                "context the kind 'features' (actions are then JSON objects)",
            )
        width = 0 if encoder is None else encoder.dimension or 0
        if encoder is None:
            action_length = _whole("bad_actions", "problem.actions.length", actions["length"], LENGTH_MAX)
            width = length + action_length
        if most * width > NUMBERS_MAX:
            raise InvalidInput(
                "bad_actions",
                f"{most} actions of {width} numbers are more than {NUMBERS_MAX} numbers: lower problem.actions.max",
            )
        return cls(kind, length, encoder, True, 0 if encoder else action_length, most)

    def to_json(self) -> dict[str, Any]:
        """Return the fields `context` and, where actions come per call, `actions` of a problem."""
        context: dict[str, Any] = {"kind": self.kind}
        if self.kind == "dense":
            context["length"] = self.length
        if self.encoder is not None:
            size = "bits" if self.encoder.dimension is None else "dimension"
            context[size] = getattr(self.encoder, size)
            if self.encoder.interactions is not None:
                context["interactions"] = [list(spaces) for spaces in self.encoder.interactions]
            text: dict[str, Any] = {"lower": True} if self.encoder.lower else {}
            text |= {"ngrams": self.encoder.ngrams} if self.encoder.ngrams > 1 else {}
            context |= {"text": text} if text else {}
        if not self.per_call:
            return {"context": context}
        length = {"length": self.action_length} if self.action_length else {}
        return {"context": context, "actions": {"kind": "listed", **length, "max": self.actions_max}}

    def problem(self, n_arms: int, horizon: int | None) -> Problem:
        """Return the shape of the task; per-call actions are arms by their position in the call."""
        k = self.actions_max if self.per_call else n_arms
        if self.encoder is None:
            return Problem(k, (k, self.length + self.action_length) if self.per_call else (self.length,), horizon)
        if self.encoder.dimension is not None:
            return Problem(k, (k, self.encoder.dimension), horizon)
        return Problem(k, (k, 2**self.encoder.bits), horizon, self.encoder.nonzeros)

    def shown(self, context: Any, state: Any, begins: bool) -> Any:
        """Return the context."""
        if state is not None or begins:
            raise _no_states()
        return context

    def shown_many(self, contexts: Any, states: Any, begins: Any) -> Any:
        """Return the contexts."""
        if states is not None or begins is not None:
            raise _no_states()
        return contexts

    def beside(self, problem: Problem, cost: Any, next_state: Any, ended: bool) -> Array:
        """Return what the decision has cost, where that is told."""
        if next_state is not None or ended:
            raise _no_next_state()
        return check_cost(problem, cost)

    def beside_many(self, problem: Problem, n: int, costs: Any, next_states: Any, ended: Any) -> Array:
        """Return what decisions have cost, where that is told."""
        if next_states is not None or ended is not None:
            raise _no_next_state()
        return check_costs(problem, costs, n)

    def told_beside(self, detail: Sequence[Any]) -> dict[str, Any]:
        """Return the cost, where one was told."""
        return {"cost": detail[0]} if detail else {}

    def sample(self) -> dict[str, Any]:
        """Return a context of zeros, and two actions where they come with each call."""
        context = {"context": [0.0] * self.length} if self.length else {}
        if not self.per_call:
            return context
        features = {"features": [0.0] * self.action_length} if self.action_length else {}
        return context | {"actions": [{"id": label} | features for label in ("a", "b")[: self.actions_max]]}

    @property
    def is_plain(self) -> bool:
        """Whether there are arms, and no objects are read."""
        return self.encoder is None and not self.per_call

    def read(self, context: Any, actions: Sequence[Named]) -> Any:
        """Return the context of one decision, over the actions of the call or all arms: objects with their `id`."""
        if self.encoder is not None:
            if context is not None and not isinstance(context, dict):
                raise InvalidInput(
                    "bad_context",
                    f"the context is {as_seen(context)}: this experiment reads JSON objects, such as "
                    '{"user": {"age": 31}}',
                )
            read = self.encoder.encode if self.encoder.dimension is None else self.encoder.dense
            return read(context, actions)
        if isinstance(context, dict):
            reads = f"reads lists of {self.length} numbers" if self.length else "has none"
            raise InvalidInput(
                "bad_context",
                f"the context is an object: this experiment {reads}; create it with the context "
                '{"kind": "features"} to send objects',
            )
        shared = check_context(self._shared, context)
        return self._rows(shared, actions) if self.per_call else shared

    def read_sent(self, context: Any, actions: bytes) -> Any:
        """Return what `read` does of actions that are JSON, or None: then they are to be decoded, and read."""
        plain = context is None or isinstance(context, dict)
        if not self.per_call:
            return None
        if self.encoder is None:
            return self._rows_sent(context, actions)
        if self.encoder.dimension is not None or not plain:
            return None
        return self.encoder.encode_sent(context, actions)

    def _rows_sent(self, context: Any, actions: bytes) -> Array | None:
        """Return what `_rows` does of actions that are JSON, or None."""
        if not self.action_length or (self.length == 0) != (context is None):
            return None
        rows = number_rows.rows_of(actions, self.action_length)
        if rows is None or not self.length:
            return rows
        try:
            return _beside(check_context(self._shared, context), rows)
        except InvalidInput:  # what is said of the actions comes first
            return None

    def entries(self) -> Sequence[Entry]:
        """Return the compiled entries that reading calls."""
        if self.encoder is not None:
            return desk().entries()
        return (number_rows.entry(),) if self.per_call else ()

    @cached_property
    def _shared(self) -> Problem:
        """The problem of a dense context alone, without what actions bring."""
        return Problem(1, (self.length,))

    def names(self, context: Any, actions: Sequence[Named]) -> list[list[str]]:
        """Return for each action the names of its features, in the order in which `attribute` writes its parts."""
        if self.encoder is None:
            own = [f"context[{j}]" for j in range(self.length)]
            return [own + [f"features[{j}]" for j in range(self.action_length)]] * len(actions)
        if self.encoder.dimension is not None:
            return self.encoder.dense_names(context, actions)
        shared, *rows = self.encoder.names(context, actions)
        return [shared + row for row in rows]

    def _rows(self, shared: Array, actions: Sequence[Named]) -> Array:
        """Return float64[k, p]: the context's numbers, then the action's own."""
        lists: list[Any] = [action.get("features") for action in actions]
        numbers = self.action_length
        try:  # at once: ten lists of 32 numbers take 13 us, and one by one 30
            if {type(one) for one in lists} != {list} or {*map(len, lists)} != {numbers}:
                raise ValueError
            own = np.fromiter(chain.from_iterable(lists), np.float64, numbers * len(lists))
        except (TypeError, ValueError, OverflowError):
            own = self._own_rows(actions)
        rows = own.reshape(len(lists), numbers)
        if self.length:
            rows = _beside(shared, rows)
        if not np.isfinite(rows).all():
            place = int(np.argmin(np.isfinite(rows).all(axis=1)))
            raise _bad_action(actions[place], "has a feature that is not finite: all must be")
        return rows

    def _own_rows(self, actions: Sequence[Named]) -> Array:
        """Return the numbers of each action; raises `InvalidInput` for the first that has no such list."""
        rows = np.empty((len(actions), self.action_length))
        for row, action in zip(rows, actions, strict=True):
            if action.get("features") is None or len(action["features"]) != self.action_length:
                raise _bad_action(action, f"must have features, a list of {self.action_length} numbers")
            try:
                row[:] = action["features"]
            except (TypeError, ValueError, OverflowError):
                raise _bad_action(action, "has features that are not all numbers: they must be") from None
        return rows


def _beside(shared: Array, rows: Array) -> Array:
    """Return float64[k, p]: the numbers of the context before those of each action."""
    return np.concatenate([np.broadcast_to(shared, (len(rows), len(shared))), rows], axis=1)


def _no_states() -> InvalidInput:
    return InvalidInput(
        "unexpected_state",
        "the decision has a state, and this experiment has none: leave `state` and `begins` out, or create "
        'it with problem.states, such as {"count": 20}',
    )


def _no_next_state() -> InvalidInput:
    return InvalidInput(
        "unexpected_next_state",
        "the reward has a next state, and this experiment has none: leave `next_state` and `ended` out",
    )


def _context(context: Any) -> tuple[Literal["none", "dense", "features"], int, Encoder | None]:
    known = {"kind", "length", "bits", "interactions", "dimension", "text"}
    check_fields("problem.context", context, known)
    kind = context.get("kind")
    if kind not in ("none", "dense", "features"):
        raise InvalidInput("bad_context", f"the kind of context is {as_seen(kind)}: it must be none, dense or features")
    fields = {"none": {"kind"}, "dense": {"kind", "length"}, "features": known - {"length"}}[kind]
    if extra := sorted(set(context) - fields):
        near = '; a context of two numbers is {"kind": "dense", "length": 2}' if extra[0] in SIZES else ""
        raise InvalidInput(
            "bad_context", f"the context has the kind {kind!r} and the field {extra[0]!r}: leave the field out{near}"
        )
    if kind == "none":
        return "none", 0, None
    if kind == "dense":
        named = '; for named features the context is {"kind": "features"}'
        length = _whole("bad_context", "the length of the context", context.get("length"), LENGTH_MAX, named)
        return "dense", length, None
    if "bits" in context and "dimension" in context:
        raise InvalidInput(
            "bad_context", "the context has bits and a dimension: give bits (2^bits slots) or a dimension, not both"
        )
    interactions = context.get("interactions")
    if interactions is not None and not isinstance(interactions, list):
        raise InvalidInput(
            "bad_context",
            f"interactions is {as_seen(interactions)}: it must be a list of pairs of namespaces, or threes",
        )
    given = {name: context[name] for name in ("bits", "dimension", "interactions") if context.get(name) is not None}
    text = {} if context.get("text") is None else context["text"]
    check_fields("problem.context.text", text, {"lower", "ngrams"})
    return "features", 0, Encoder(**given, **text)


def _whole(code: str, what: str, value: Any, most: int, instead: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise InvalidInput(code, f"{what} is {as_seen(value)}: it must be a whole number from 1 to {most}{instead}")
    return value


def _bad_action(action: Named, what: str) -> InvalidInput:
    return InvalidInput("bad_action", f"the action {action.get('id')!r} {what}")
