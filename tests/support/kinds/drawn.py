"""What is drawn by a policy over and over, all with one state."""

from __future__ import annotations

from typing import Any

import numpy as np

from onearm.engine import loop as engine
from onearm.engine.kernel import loop
from onearm.engine.protocol import marks, select
from onearm.engine.vocabulary import Array, Instance, Key

FEW = 500_000
DRAWS = 100_000  # a share is known to .006 then, at 4 standard errors


@loop
def count_actions(params: Any, state: Any, instance: Instance, run: np.uint64, counts: Array, draws: int) -> None:
    """Count which arm or query is drawn at times 0 to `draws`."""
    for t in range(draws):
        counts[select(params, state, instance, Key(run, t)).action] += 1


def frequencies(params: Any, state: Any, instance: Instance, run: np.uint64, draws: int) -> Array:
    """Return how often each arm is drawn at times 0 to `draws`, float64[k].

    The loop above is compiled anew for each policy in each run, which takes as long as 500,000 calls of `decide`: that
    is compiled for other tests as well, and kept on disk. Fewer draws are decided one by one, by the same keys.
    """
    counts = np.zeros(len(instance.available), np.int64)
    if draws > FEW or marks(params):  # of these the state does not stay as it is
        count_actions(params, state, instance, run, counts, draws)
    else:
        decide = engine.decide.compiled(params, state, instance, Key(run, 0))
        for t in range(draws):
            counts[decide(params, state, instance, Key(run, t))[0]] += 1
    return counts / draws
