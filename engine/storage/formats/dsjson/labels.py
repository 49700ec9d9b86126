"""What a line of a dsjson log says of its decision, or what is wrong with it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np

from ....problem import REWARD_MAX
from ...bad_lines import BadLines

OTHERS = {"_outcomes": "other_problem", "_label_ca": "continuous_action", "rewardvalue": "dangling_reward"}


class Line(NamedTuple):
    """A decision, and its reward where it has one."""

    action: int
    propensity: float
    kept: float  # probability that such an event was not dropped, > 0
    reward: float  # NaN without
    size: int  # how many actions there were
    unobserved: bool = False  # the reward is a default
    relabelled: bool = False  # the label's cost is not the observed one


def parsed(text: bytes, number: int, bad_lines: BadLines) -> dict[str, Any] | None:
    """Return the object that a line is, its keys in lower case; None where it is none, which is counted, or empty."""
    if not text.strip():
        return None
    if not text.lstrip().startswith(b"{"):
        bad_lines.add("no_decision", number)
        return None
    try:
        return {key.lower(): value for key, value in msgspec.json.decode(text, type=dict[str, Any]).items()}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        bad_lines.add("not_json" if text.endswith(b"\n") else "truncated", number)
        return None


def line_of(text: bytes, number: int, bad_lines: BadLines) -> tuple[dict[str, Any], Line] | None:
    """Return what a line holds, and its decision; or None where it is bad or empty."""
    event = parsed(text, number, bad_lines)
    if event is None:
        return None
    found = decision_of(event)
    if isinstance(found, Line):
        return event, found
    bad_lines.add(found, number)
    return None


def decision_of(event: dict[str, Any]) -> Line | str:
    """Return the decision, or what is wrong."""
    for key, kind in OTHERS.items():
        if event.get(key) is not None:
            return kind
    context = event.get("c")
    if not isinstance(context, dict):
        return "no_decision"
    actions = context.get("_multi")
    if not isinstance(actions, list) or not actions:
        return "no_actions"
    if "_slots" in context or any(isinstance(action, dict) and "_slot_id" in action for action in actions):
        return "other_problem"
    if event.get("_skiplearn") is True:
        return "skip_learn"
    propensity, action = event.get("_label_probability"), event.get("_labelindex")
    if action is None and isinstance(event.get("_label_action"), int):
        action = event["_label_action"] - 1
    if propensity is None or action is None:
        return "missing_label"
    if not isinstance(action, int) or isinstance(action, bool) or not 0 <= action < len(actions):
        return "bad_action"
    label: Any = event.get("_label_cost")
    cost: Any = label if event.get("_original_label_cost") is None else event["_original_label_cost"]
    if not all(each is None or is_number(each) for each in (label, cost)):
        return "bad_reward"
    if not is_number(propensity) or not 0.0 < propensity <= 1.0:
        return "bad_propensity"
    kept = kept_of(event)
    if kept is None:
        return "bad_pdrop"
    return Line(
        action,
        float(propensity),
        kept,
        np.nan if label is None else 0.0 - cost,
        len(actions),
        label is not None and "o" in event and not _has_outcome(event["o"]),
        label is not None and label != cost,
    )


def kept_of(event: dict[str, Any]) -> float | None:
    """Return how likely such an event was kept, None where that is no number above 0."""
    dropped = event.get("pdrop", 0.0)
    return 1.0 - dropped if is_number(dropped) and 0.0 <= dropped < 1.0 else None


def _has_outcome(outcomes: Any) -> bool:
    """Whether something was observed: what has no value tells only that a decision was activated."""
    if not isinstance(outcomes, list):
        return False
    return any(isinstance(each, dict) and each.get("v") is not None for each in outcomes)


def is_number(value: Any) -> bool:
    """Whether a value of JSON is a number, not too large for a reward."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= REWARD_MAX
