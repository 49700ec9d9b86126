"""The printed numbers of loop.py: plans, courses and worlds that an independent program found, beside ours."""

from __future__ import annotations

from typing import Any

import numpy as np
from loop_runs import WORLDS, world_of

from onearm.engine.kernel import loop
from onearm.engine.states.ascent import ENDED, Ascent, ascend, begin_ascent, no_ascent
from onearm.engine.states.noise import known_noise
from onearm.engine.states.transitions import transitions_of
from onearm.engine.states.world import tables_of
from onearm.envs import catalog as envs

GAINS = {
    "swim 6": (0.4286224338, 6.31032431),
    "swim 12": (0.4285714290, 14.88095240),
    "swim 12 clipped": (0.8571428572, 30.95238095),
    "four rooms": (0.0767010713, 0.92329893),
    "garnet 1": (0.8381291286, 0.65298656),
    "garnet 2": (0.8117857727, 0.82882870),
    "garnet 3": (0.8095422440, 0.78896409),
    "admission": (0.4546691481, 7.05584456),
    "service": (0.8471853221, 25.60998861),
    "inventory": (0.4088293017, 0.38543812),
    "backoff": (0.8542465753, 3.02634352),
}
PLANS = {1.0: 0.57971906, 4.0: 0.73081568, 16.0: 1.03300893, 64.0: 1.63744713}
BONUS = (0.00015753, 0.00157531, 0.00945188, 0.05789274, 0.36022145, 0.28367439)
BIAS = (0.0, 1.21776359, 3.47527373, 5.85881463, 8.12195747, 9.50410425)
TOLD = ((5, 1, 1.0, 5), (5, 1, 1.0, 4), (4, 1, 0.0, 5), (5, 1, 1.0, 5), (0, 0, 0.005, 0), (5, 1, 1.0, 4))
ERRORS = (3.78136234, 4.32124751, 3.77609581, 3.54275224, 3.54275224, 4.10313220)


@loop
def _plan(up: Ascent) -> None:
    begin_ascent(up, 1e-12, np.inf)
    while up.stage[0] != ENDED:
        ascend(up, 10**9)


def golden() -> list[dict[str, Any]]:
    """Return each printed number, ours, and whether they agree."""
    rows = []
    for name in WORLDS:
        _, best = world_of(name)
        gain, span = GAINS[name]
        rows.append(_row(f"gain of {name}", gain, best.gain, 1e-10))
        rows.append(_row(f"span of {name}", span, best.span, 1e-8))
    for beta, gain in PLANS.items():
        up, visits, _ = planned(beta)
        rows.append(_row(f"gain of the plan with beta {beta:g}", gain, float(up.plan.gain[0]), 1e-7))
    up, visits, law = planned(4.0)
    bonus = up.model.reward - up.believed.reward
    for s in range(6):
        rows.append(_row(f"bonus of state {s}", BONUS[s], float(bonus[s, 1]), 1e-7))
        rows.append(_row(f"bias of state {s}", BIAS[s], float(up.plan.bias[s]), 1e-7))
    for i, (printed, found) in enumerate(zip(ERRORS, errors(up, visits, law), strict=True)):
        rows.append(_row(f"Y after step {i + 1}", printed, found, 1e-7))
    return rows


def planned(beta: float) -> tuple[Ascent, Any, Any]:
    """Return the printed plan, with this budget; the counts, and the laws."""
    law, reward, _ = tables_of(envs.make("river_swim"))
    visits = np.array([[40.0 + 10.0 * s, 10.0 + 2.0 * s] for s in range(6)])
    up = no_ascent(6, 2, known_noise(6, 2))
    up = up._replace(model=up.model._replace(laws=transitions_of(law)))
    up.met[:] = True
    up.believed.visits[:] = visits
    up.believed.reward[:] = reward
    up.believed.beta[0] = beta
    _plan(up)
    return up, visits, law


def errors(up: Ascent, visits: Any, law: Any) -> list[float]:
    """Return Y after each of the printed steps, by the counts."""
    h, target = up.plan.bias, up.plan.q + up.plan.gain[0]
    count, outcome = visits.copy(), up.believed.reward + law @ h[:6]
    found = []
    for s, a, reward, after in TOLD:
        count[s, a] += 1.0
        outcome[s, a] += (reward + h[after] - outcome[s, a]) / count[s, a]
        found.append(float((count * (target - outcome) ** 2)[np.arange(6)[:, np.newaxis], [[0, 1]]].sum()))
    return found


def _row(what: str, printed: float, found: float, within: float) -> dict[str, Any]:
    off = abs(found - printed)
    return {"what": what, "printed": printed, "found": found, "agrees": bool(off <= within + 5e-11)}
