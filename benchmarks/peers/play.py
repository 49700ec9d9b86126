"""Time one library's bandits: python play.py LIBRARY SECONDS, in an environment that holds its pins.

Prints {"version", "steps_per_second": {policy: float}} as JSON, in seconds of CPU. A step is one decision and
one feedback, by the calls that the library documents for that; rewards come from a table, as in reference.c.
"""

from __future__ import annotations

import importlib.util
import json
import random
import sys
import time
import types
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

Decide = Callable[[], int]
Learn = Callable[[int, float], object]

ARMS = list(range(10))
MEANS = [0.1 + 0.08 * arm for arm in ARMS]
CHUNK = 50  # steps between two looks at the clock
TABLE = [random.Random(0).random() for _ in range(4096)]


def river() -> dict[str, tuple[Decide, Learn]]:
    from river import bandit, proba

    policies = {
        "ucb1": bandit.UCB(delta=1, seed=1),
        "epsilon_greedy": bandit.EpsilonGreedy(epsilon=0.1, seed=1),
        "exp3_ix": bandit.Exp3(gamma=0.01, seed=1),
        "thompson_beta": bandit.ThompsonSampling(reward_obj=proba.Beta(seed=1), seed=1),
    }
    return {name: (lambda policy=policy: policy.pull(ARMS), policy.update) for name, policy in policies.items()}


def mabwiser() -> dict[str, tuple[Decide, Learn]]:
    from mabwiser.mab import MAB, LearningPolicy

    policies = {
        "ucb1": LearningPolicy.UCB1(alpha=1.0),
        "epsilon_greedy": LearningPolicy.EpsilonGreedy(epsilon=0.1),
        "thompson_beta": LearningPolicy.ThompsonSampling(),
    }
    players = {}
    for name, policy in policies.items():
        mab = MAB(ARMS, policy, seed=1)
        mab.fit(ARMS, [0] * len(ARMS))
        players[name] = (mab.predict, lambda arm, reward, mab=mab: mab.partial_fit([arm], [reward]))
    return players


def obp() -> dict[str, tuple[Decide, Learn]]:
    # obp/__init__.py imports PyTorch, 2 GB that these two classes do not use: give it packages without inits.
    spec = importlib.util.find_spec("obp")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    for name, path in {"obp": folder, "obp.policy": folder / "policy"}.items():
        package = types.ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    from obp.policy.contextfree import BernoulliTS, EpsilonGreedy

    policies = {
        "epsilon_greedy": EpsilonGreedy(n_actions=len(ARMS), epsilon=0.1, random_state=1),
        "thompson_beta": BernoulliTS(n_actions=len(ARMS), random_state=1),
    }
    return {
        name: (lambda policy=policy: policy.select_action()[0], policy.update_params)
        for name, policy in policies.items()
    }


def steps_per_second(decide: Decide, learn: Learn, seconds: float) -> float:
    steps = 0
    start = time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(CHUNK):
            arm = decide()
            learn(arm, 1.0 if TABLE[steps % len(TABLE)] < MEANS[arm] else 0.0)
            steps += 1
    return steps / spent


def main(library: str, seconds: float) -> None:
    players = {"river": river, "mabwiser": mabwiser, "obp": obp}[library]()
    rates = {name: steps_per_second(decide, learn, seconds) for name, (decide, learn) in players.items()}
    print(json.dumps({"version": version(library), "steps_per_second": rates}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
