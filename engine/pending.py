"""Decisions whose feedback is under way in a simulation: a calendar queue, one place for each decision.

Feedback comes at most `delay_max` decisions late, so the place of decision t is t modulo `delay_max` + 1, and so is the
date on which feedback is due.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .actions import put_action
from .arrays import copy_numbers
from .contexts import put_context
from .kernel import routine
from .vocabulary import Array, Decision, Feedback, Instance


class Pending(NamedTuple):
    """Decisions whose feedback is under way: a calendar queue of `delay_max` + 1 places."""

    first: Array  # int64[n], by due date: place of the first decision due then, -1 if none
    last: Array  # int64[n]
    following: Array  # int64[n], by place: place of the next decision due on the same date
    number: Array  # int64[n], by place
    action: Array  # of n rows: `engine/actions.py`
    propensity: Array  # float64[n]
    reward: Array  # float64[n]
    context: Any  # of n rows: `engine/contexts.py`
    available: Array  # bool[n, k]
    detail: Array  # float64[n, m]


@routine
def hold(pending: Pending, t: int, instance: Instance, decision: Decision, feedback: Feedback, delay: int) -> None:
    """Keep a decision until `t + delay`, behind those that are due on the same date."""
    place = t % len(pending.first)
    date = (t + delay) % len(pending.first)
    pending.number[place] = t
    put_action(pending.action, place, decision.action)
    pending.propensity[place] = decision.propensity
    pending.reward[place] = feedback.reward
    put_context(pending.context, place, instance.context)
    copy_numbers(instance.available, pending.available[place])
    copy_numbers(feedback.detail, pending.detail[place])
    pending.following[place] = -1
    if pending.first[date] < 0:
        pending.first[date] = place
    else:
        pending.following[pending.last[date]] = place
    pending.last[date] = place
