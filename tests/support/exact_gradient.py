"""The gradient of what a table policy loses, exactly: what estimates of it must come to."""

from __future__ import annotations

import numpy as np

from onearm.engine.hardness.exact.losses import end_flow, likelihood
from onearm.engine.hardness.exact.states import count_states
from onearm.engine.hardness.score_gradient import scores
from onearm.engine.trained.tables import TablePolicy


def exact_gradient(policy: TablePolicy, means: np.ndarray) -> np.ndarray:
    """Return the gradient of the expected loss by the means, float64[n]: that of the loss itself included."""
    task, states = policy.task, count_states(policy.task, policy.budget)
    ends = slice(states.n_open, None)
    reached = end_flow(policy, states) * likelihood(task, states, means)
    law = policy.recommendation[ends]
    sums = states.up[ends] if task.answers == "bits" else 2 * states.up[ends] - states.asked[ends]
    through_answers = (reached * (law @ task.losses(means))) @ scores(task, means, states.asked[ends], sums)
    if task.loss == "identification":
        return np.asarray(through_answers)
    best = int((task.table @ task.signed(means)).argmax())
    through_loss = task.table[best] - (reached @ law) @ task.table
    return np.asarray(through_answers + (2.0 if task.is_shifted else 1.0) * through_loss)
