"""The space of moves in a stream of arms."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from ....engine.actions import empty_actions, pull, read
from ....engine.problem import PULLS_MAX
from ....engine.vocabulary import Array, Problem


class Moves(spaces.MultiDiscrete):
    """Moves as `engine/actions.py` writes them, int64[3]: what (0 pull, 1 read), slot, and pulls up to the horizon.

    >>> space = Moves(Problem(n_arms=10, horizon=1000, slots=1))
    >>> space
    MultiDiscrete([   2    2 1001])
    >>> space.sample(mask=np.array([0, 0, 1], np.int8))[0]  # no arm is held yet: read one
    np.int64(1)
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        most = min(problem.horizon or PULLS_MAX, PULLS_MAX)
        super().__init__([2, problem.n_choices - 1, most + 1])

    def sample(self, mask: Any = None, probability: Any = None) -> Array:
        """Return a random move among those possible by `mask`, the `action_mask` int8[slots + 2] of an `info`.

        Without a mask it reads, which is possible as long as the stream goes on; so it does where nothing is possible,
        and a vector of environments ignores what is drawn after an episode. The logarithm of the number of pulls is
        uniform.
        """
        if probability is not None:
            return super().sample(probability=probability)
        reading = self._problem.n_choices - 1
        places = np.flatnonzero(mask) if np.any(mask) else np.array([reading])
        place = int(self.np_random.choice(places))
        move = empty_actions(1, self._problem)[0]
        if place == reading:
            return read(move, int(self.np_random.integers(reading)))
        return pull(move, place, int(np.exp(self.np_random.random() * np.log(self.nvec[2] - 1))))
