"""What an experiment has learned of its states: its plan, as people read it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from ...engine.vocabulary import Array, Instance, Learned
from .states import Said, States
from .unknown import or_null

STATES_TOLD = 1000  # of a plan at most: those in which most was decided


class StatePlan(msgspec.Struct):
    """What is done in a state, by all that was learned so far."""

    state: Said
    action_id: str  # what the plan decides
    worth: float  # how much more is earned from here on than from the worst state that was met
    decisions: dict[str, int]  # how many were learned in this state, by action
    q: dict[str, float]  # the worth of each action that was learned here; the best one's is that of the state


class Plan(msgspec.Struct):
    """What the policy has learned of states; a state in which nothing was decided is not told."""

    gain: float | None  # reward of a decision in the long run, as the plan has it: it hopes for more where little is
    # known, the largest reward at most; null before the first plan
    plans: int  # that were made; of a policy that makes none, rewards that were learned
    learned_since: int  # rewards that were learned since the plan at hand was begun
    states: list[StatePlan]
    error: float | UnsetType = UNSET  # how much of what was learned speaks against the plan, where a policy counts that
    error_max: float | UnsetType = UNSET  # beyond which there is another plan; and where a pair is tried first
    states_left_out: int | UnsetType = UNSET  # in which less was decided, where there are many


class HeldPlan(msgspec.Struct):
    """The plan by which a decision was made."""

    gain: float | None
    worth: float  # of the state
    plans: int
    learned_since: int
    error: float | UnsetType = UNSET
    error_max: float | UnsetType = UNSET


def plan_of(states: States, labels: Sequence[str], learned: Learned) -> Plan:
    """Return a plan by the names of states and actions."""
    met = np.flatnonzero(learned.best >= 0)
    told = met[np.sort(np.argsort(-learned.visits[met].sum(axis=1), kind="stable")[:STATES_TOLD])]
    return Plan(
        or_null(learned.gain),
        learned.plans,
        learned.since,
        [_state_plan(states, labels, learned, int(s)) for s in told],
        *_errors(learned),
        UNSET if len(told) == len(met) else len(met) - len(told),
    )


def held_for(learned: Learned, instance: Instance) -> HeldPlan:
    """Return the plan by which an instance is decided."""
    worth = float(learned.bias[int(instance.context[0])])
    return HeldPlan(or_null(learned.gain), worth, learned.plans, learned.since, *_errors(learned))


def _errors(learned: Learned) -> tuple[float | UnsetType, float | UnsetType]:
    """Return what speaks against the plan, and how much may."""
    return (UNSET, UNSET) if math.isnan(learned.error) else (learned.error, learned.error_max)


def _state_plan(states: States, labels: Sequence[str], learned: Learned, s: int) -> StatePlan:
    tried: Array = np.flatnonzero(learned.visits[s])
    return StatePlan(
        states.label(s),
        labels[int(learned.best[s])],
        float(learned.bias[s]),
        {labels[a]: int(learned.visits[s, a]) for a in tried},
        {labels[a]: float(learned.q[s, a]) for a in tried},
    )
