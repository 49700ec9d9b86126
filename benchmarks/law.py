"""What a decision of Thompson sampling with its exact law costs, by the number of arms.

Run: python benchmarks/law.py. Writes results/law.json: microseconds of CPU of one decision from Python, the median over
several posteriors after 200 and after 20,000 rewards an arm. One reward is learned between two decisions, by the arm
that the first one took: a law that was asked for already costs nothing.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

from onearm.engine import loop
from onearm.engine.vocabulary import Instance, Key, Problem
from onearm.policies import catalog

RESULT = Path(__file__).resolve().parent / "results" / "law.json"
ARMS = (2, 10, 34, 100, 1000)
REWARDS = (200, 20_000)
POSTERIORS = 5


def decision_us(k: int, rewards: int) -> float:
    """Return microseconds of CPU of a decision among k arms whose means are known from that many rewards."""
    policy = catalog.make("thompson_beta")
    state = policy.init(policy.params, Problem(k))
    arguments = (policy.params, state, Instance(5, np.zeros(0), np.ones(k, np.bool_)), Key(np.uint64(3), 5))
    decide = loop.decide.compiled(*arguments)
    times = []
    for seed in range(POSTERIORS):
        wins = np.random.default_rng(seed).binomial(rewards, np.linspace(0.3, 0.6, k))
        state.success[:], state.failure[:] = 1.0 + wins, 1.0 + rewards - wins
        calls = max(5, 5000 // k)
        arm = decide(*arguments)[0]
        start = time.process_time()
        for call in range(calls):
            state.success[arm] += 1.0 - 2.0 * (call % 2)
            decide(*arguments)
        times.append((time.process_time() - start) / calls * 1e6)
    return statistics.median(times)


def main() -> None:
    """Measure and write the results."""
    found: dict[str, Any] = {str(k): {str(n): decision_us(k, n) for n in REWARDS} for k in ARMS}
    result = {"machine": machine(), "decision_us": found}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
