"""Decisions with several slots, in Vowpal Wabbit's dsjson: conditional contextual bandits, and slates.

A conditional bandit fills slots one after another, each from the actions that are left, and each earns for itself:

    {"c": {"_multi": [{...}, {...}, {...}], "_slots": [{...}, {...}]}, "_ba": [0, 1],
     "_outcomes": [{"_label_cost": -1.0, "_a": [2, 0, 1], "_p": [0.8, 0.1, 0.1]},
                   {"_label_cost": 0.0, "_a": [0, 1], "_p": [0.5, 0.5]}]}

A slate has actions of its own for each slot (`_slot_id`), and one cost:

    {"_label_cost": -1.0, "_outcomes": [{"_a": [1, 0], "_p": [0.8, 0.2]}, {"_a": [0], "_p": [1.0]}],
     "c": {"_multi": [{"_slot_id": 0, ...}, {"_slot_id": 0, ...}, {"_slot_id": 1, ...}], "_slots": [{...}, {...}]}}

Actions count from 0, and the first of `_a` is the one that was chosen. Rewards are minus the costs that were observed,
as in `dsjson`; `_ba` is what the baseline would have put into each slot. `engine/estimate/slates.py` estimates.

Source: the reader of vowpal_wabbit 9, parse_example_json.cc and parse_slates_example_json.h.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...errors import InvalidInput, as_seen
from ...vocabulary import Array
from ..bad_lines import BadLines
from ..log import no_good_line, reading
from ..source import Source
from .dsjson.labels import is_number, kept_of, parsed

TARGETS = ("uniform", "logged", "first")


class Slots(NamedTuple):
    """Lists of n decisions with up to L slots; what lies beyond the end of a list is NaN, -1 or 0."""

    reward: Array  # float64[n, L]; of slates float64[n]
    propensity: Array  # float64[n, L], of the action shown, given those above it
    action: Array  # int64[n, L]; of slates among those of the slot
    n_choices: Array  # int64[n, L], how many actions were left for the slot
    first: Array  # int64[n, L], the baseline's action, or the first of those that were left
    length: Array  # int64[n]
    line: Array  # int64[n], where each stands in the file, from 1
    bad_lines: BadLines
    notes: list[str]  # what a person must know of the log, in words


class _Slot(NamedTuple):
    reward: float  # NaN where the whole list has one
    propensity: float
    action: int
    n_choices: int
    first: int


class _List(NamedTuple):
    is_slate: bool
    reward: float  # NaN where the slots have theirs
    slots: list[_Slot]
    kept: float


def read_slots(source: Source) -> Slots:
    """Read a log whose lines have slots. Bad lines are counted and named; the others are read.

    The first good line says whether it is one of slates.
    """
    bad_lines = BadLines()
    found: list[_List] = []
    numbers: list[int] = []
    number = 0
    with reading(source.path, "a dsjson log"):
        for number, text in source.lines():
            event = parsed(text, number, bad_lines)
            if event is None:
                continue
            line = _list(event)
            if isinstance(line, _List) and found and line.is_slate != found[0].is_slate:
                line = "other_problem"
            if isinstance(line, str):
                bad_lines.add(line, number)
                continue
            found.append(line)
            numbers.append(number)
    if source.broken is not None:
        bad_lines.add("truncated", number + 1)
    if not found:
        raise no_good_line(source.path, bad_lines)
    return _columns(found, numbers, bad_lines)


def targets(slots: Slots, name: str) -> Array:
    """Return how likely a target puts the shown action into each slot, given those above it: float64[n, L].

    "uniform" takes each of the actions that are left alike, "first" the baseline's, "logged" is the log's own law.
    """
    if name == "uniform":
        return np.where(slots.n_choices > 0, 1.0 / np.maximum(slots.n_choices, 1), np.nan)
    if name == "first":
        return np.where(slots.n_choices > 0, np.asarray(slots.action == slots.first, np.float64), np.nan)
    if name == "logged":
        return slots.propensity
    raise InvalidInput("bad_target", f"the target is {as_seen(name)}: of a log with slots it is {', '.join(TARGETS)}")


def _columns(found: list[_List], numbers: list[int], bad_lines: BadLines) -> Slots:
    n, length = len(found), max(len(line.slots) for line in found)
    reward, propensity = np.full((2, n, length), np.nan)
    action, n_choices, first = np.full((n, length), -1), np.zeros((n, length), np.int64), np.full((n, length), -1)
    for row, line in enumerate(found):
        shown = slice(len(line.slots))
        columns = zip(*line.slots, strict=True)
        for into, values in zip((reward, propensity, action, n_choices, first), columns, strict=True):
            into[row, shown] = values
    if found[0].is_slate:
        reward = np.array([line.reward for line in found])
    shares = {line.kept for line in found}
    note = "the shares of events that were dropped (pdrop) differ, and each list counts once"
    return Slots(
        reward,
        propensity,
        action,
        n_choices,
        first,
        np.array([len(line.slots) for line in found]),
        np.array(numbers, np.int64),
        bad_lines,
        [note] if len(shares) > 1 else [],
    )


def _list(event: dict[str, Any]) -> _List | str:
    """Return what a line decides, or what is wrong."""
    if "rewardvalue" in event:
        return "dangling_reward"
    context, outcomes = event.get("c"), event.get("_outcomes")
    if not isinstance(context, dict):
        return "no_decision"
    if not isinstance(outcomes, list):
        return "other_problem"
    actions = context.get("_multi")
    if not isinstance(actions, list) or not actions or not all(isinstance(action, dict) for action in actions):
        return "no_actions"
    if event.get("_skiplearn") is True:
        return "skip_learn"
    is_slate = any("_slot_id" in action for action in actions)
    n_slots = len(context["_slots"]) if isinstance(context.get("_slots"), list) else 0
    if not outcomes or len(outcomes) != n_slots or not all(isinstance(outcome, dict) for outcome in outcomes):
        return "bad_slots"
    reward = np.nan
    if is_slate:
        cost = _cost(event)
        if isinstance(cost, str):
            return cost
        reward = 0.0 - cost
    kept = kept_of(event)
    if kept is None:
        return "bad_pdrop"
    baseline = event.get("_ba")
    slots: list[_Slot] = []
    for place, outcome in enumerate(outcomes):
        among = [action.get("_slot_id") for action in actions].count(place) if is_slate else len(actions)
        slot = _slot(outcome, among, is_slate)
        if isinstance(slot, str):
            return slot
        if not is_slate and any(slot.action == above.action for above in slots):
            return "bad_action"
        if isinstance(baseline, list) and len(baseline) == n_slots and isinstance(baseline[place], int):
            slot = slot._replace(first=baseline[place])
        slots.append(slot)
    return _List(is_slate, reward, slots, kept)


def _slot(outcome: dict[str, Any], n_actions: int, is_slate: bool) -> _Slot | str:
    """Return what was put into a slot, or what is wrong."""
    actions, propensities = outcome.get("_a"), outcome.get("_p")
    if not isinstance(actions, list) or not isinstance(propensities, list) or not actions:
        return "missing_label"
    if any(type(action) is not int or not 0 <= action < n_actions for action in actions):
        return "bad_action"
    if len(set(actions)) != len(actions):
        return "bad_action"
    if len(propensities) != len(actions) or not is_number(propensities[0]) or not 0.0 < propensities[0] <= 1.0:
        return "bad_propensity"
    reward = np.nan
    if not is_slate:
        cost = _cost(outcome)
        if isinstance(cost, str):
            return cost
        reward = 0.0 - cost
    return _Slot(reward, float(propensities[0]), actions[0], len(actions), min(actions))


def _cost(labels: dict[str, Any]) -> float | str:
    """Return the cost that was observed, or what is wrong."""
    label: Any = labels.get("_label_cost")
    cost: Any = label if labels.get("_original_label_cost") is None else labels["_original_label_cost"]
    if label is None:
        return "missing_label"
    return float(cost) if is_number(label) and is_number(cost) else "bad_reward"
