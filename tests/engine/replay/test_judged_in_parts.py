"""Rows of a log that are taken in parts while a loop is not compiled: what is written of each stands in its row."""

from __future__ import annotations

from typing import Any

import numpy as np

from onearm.engine import loop
from onearm.engine.columns import empty
from onearm.engine.replay.folding import ROWS, run_rows
from onearm.engine.vocabulary import LEARN, Judged, Problem
from onearm.policies import catalog


class Interpreted:
    """A loop that is not compiled yet."""

    name, compiled = "fold", False

    def __call__(self, *given: Any) -> None:
        loop.fold.python(*given)

    def wait(self) -> None:
        raise AssertionError("a second is enough")


def test_what_is_judged_in_parts_is_what_is_judged_at_once() -> None:
    n, problem, policy = 3 * ROWS + 5, Problem(3), catalog.make("epsilon_greedy")
    rng = np.random.default_rng(1)
    page = empty(n, problem)
    page.kind[:], page.number[:], page.action[:] = LEARN, np.arange(n), rng.integers(0, 3, n)
    page.reward[:], page.propensity[:] = rng.random(n), 1 / 3
    predicted = rng.random((n, 3))
    judged = []
    for run in (Interpreted(), None):
        found = Judged(np.zeros(n, np.int64), np.zeros(n), np.zeros(n))
        arguments = policy.params, policy.init(policy.params, problem), np.uint64(5), page
        if run is None:
            loop.fold.python(*arguments, predicted, found)
        else:
            run_rows(run, *arguments, predicted, found)  # type: ignore[arg-type]
        judged.append(found)
    for parts, once in zip(*judged, strict=True):
        np.testing.assert_array_equal(parts, once)
