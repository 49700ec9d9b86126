"""Play PyNOL's learners: python play.py GRADIENTS POINTS SECONDS STEP HORIZON, in an environment that holds its pins.

GRADIENTS is an .npy file, float64[n, d]; POINTS one to write: what OptimisticOGD with the fixed step decides in the
unit ball as those gradients come. Prints {"version", "learners", "rounds_per_second"} as JSON, in seconds of CPU;
gradients are handed over, so that none is found by autograd.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np

with contextlib.redirect_stdout(io.StringIO()):
    from pynol.environment.domain import Ball
    from pynol.environment.environment import Environment
    from pynol.learner.base import OptimisticOGD
    from pynol.learner.models.dynamic.swordpp import SwordPP

CHUNK = 50  # rounds between two looks at the clock


def environment(gradient: np.ndarray) -> Any:
    """Return a round: a linear loss whose gradient is known."""
    return Environment(func=lambda x: float(gradient @ x), grad=gradient)


def rounds_per_second(opt: Callable[[Any], Any], gradients: np.ndarray, seconds: float) -> float:
    rounds = 0
    start = time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(CHUNK):
            opt(environment(gradients[rounds % len(gradients)]))
            rounds += 1
    return rounds / spent


def main(gradients_file: str, points_file: str, seconds: float, step: float, horizon: int) -> None:
    gradients = np.load(gradients_file)
    ball, middle = Ball(gradients.shape[1]), np.zeros(gradients.shape[1])

    def descent() -> Any:
        return OptimisticOGD(ball, step, optimism_type="last_grad", prior=middle)

    learner = descent()
    np.save(points_file, np.array([np.array(learner.opt(environment(gradient))[0]) for gradient in gradients]))
    sword = SwordPP(ball, horizon, G=2.4, L_smooth=1.0, prior=middle)
    rates = {
        "optimistic_omd": rounds_per_second(descent().opt, gradients, seconds),
        "optimistic_ensemble": rounds_per_second(sword.opt, gradients, seconds),
    }
    found = {"version": version("pynol-xzp"), "learners": len(sword.schedule.bases), "rounds_per_second": rates}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
