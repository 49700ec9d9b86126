"""What is drawn by a policy over and over, all with one state."""

from __future__ import annotations

from typing import Any

import numpy as np

from onearm.engine.kernel import loop
from onearm.engine.protocol import select
from onearm.engine.vocabulary import Array, Instance, Key


@loop
def count_actions(params: Any, state: Any, instance: Instance, run: np.uint64, counts: Array, draws: int) -> None:
    """Count which arm or query is drawn at times 0 to `draws`."""
    for t in range(draws):
        counts[select(params, state, instance, Key(run, t)).action] += 1
