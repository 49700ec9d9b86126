"""What an experiment has learned of its states: its plan, as people read it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import UNSET, UnsetType

from ...engine.vocabulary import Array, Instance, Learned
from .plan_schemas import HeldPlan, Plan, StatePlan
from .states import States
from .unknown import or_null

STATES_TOLD = 1000  # of a plan at most: those in which most was decided


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
