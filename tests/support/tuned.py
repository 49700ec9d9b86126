"""Tuners whose values have known costs."""

from __future__ import annotations

from typing import Any

from onearm.api.solver import Tuner

VALUES = [1.0, 1.3, 1.6, 1.9]
COSTS = dict(zip(VALUES, (90, 50, 30, 70), strict=True))


def drive(tuner: Tuner, rounds: int) -> list[Any]:
    """Let a tuner work with known costs; return what it proposed."""
    proposed = []
    for t in range(rounds):
        proposal = tuner.ask(0.01 * (t % 40) if tuner.settings.context else None)
        tuner.tell(proposal, COSTS[proposal.value] + t % 3)
        proposed.append((proposal.value, proposal.propensity))
    return proposed


def means_of(tuner: Tuner) -> list[float]:
    """What a UCB1 tuner learned of each arm, as costs."""
    return (-tuner._state.mean).tolist()
