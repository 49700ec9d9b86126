"""Time one library's disjoint LinUCB: python play.py LIBRARY SECONDS, in an environment that holds its pins.

Prints {"version", "steps_per_second"} as JSON, in seconds of CPU. A step is one decision among 10 arms on a context of
32 numbers, and one feedback, by the calls that the library documents for that.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
import types
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ARMS = list(range(10))
DIMENSION = 32
ROWS = 1024
CHUNK = 20  # steps between two looks at the clock

Decide = Callable[[Any], int]
Learn = Callable[[int, float, Any], object]


def river(contexts: np.ndarray) -> tuple[Decide, Learn, list[Any]]:
    from river import bandit

    policy = bandit.LinUCBDisjoint(alpha=1.0, seed=1)
    rows = [dict(enumerate(row.tolist())) for row in contexts]
    return (
        lambda row: policy.pull(ARMS, context=row),
        lambda arm, reward, row: policy.update(arm, row, reward),
        rows,
    )


def mabwiser(contexts: np.ndarray) -> tuple[Decide, Learn, list[Any]]:
    from mabwiser.mab import MAB, LearningPolicy

    mab = MAB(ARMS, LearningPolicy.LinUCB(alpha=1.0), seed=1)
    mab.fit(ARMS, [0] * len(ARMS), np.zeros((len(ARMS), DIMENSION)))
    rows = [row[np.newaxis] for row in contexts]
    return mab.predict, lambda arm, reward, row: mab.partial_fit([arm], [reward], row), rows


def obp(contexts: np.ndarray) -> tuple[Decide, Learn, list[Any]]:
    # obp/__init__.py imports PyTorch, 2 GB that this class does not use: give it packages without inits.
    spec = importlib.util.find_spec("obp")
    assert spec is not None and spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0])
    for name, path in {"obp": folder, "obp.policy": folder / "policy"}.items():
        package = types.ModuleType(name)
        package.__path__ = [str(path)]
        sys.modules[name] = package
    # obp/utils.py names types of these two in annotations; LinUCB uses neither.
    sys.modules["torch"], sys.modules["pandas"] = types.ModuleType("torch"), types.ModuleType("pandas")
    sys.modules["torch"].__dict__.update(tensor=object, Tensor=object)
    sys.modules["pandas"].__dict__.update(DataFrame=object)
    from obp.policy.linear import LinUCB

    policy = LinUCB(dim=DIMENSION, n_actions=len(ARMS), epsilon=1.0, random_state=1)
    rows = [row[np.newaxis] for row in contexts]
    return lambda row: int(policy.select_action(row)[0]), policy.update_params, rows


def main(library: str, seconds: float) -> None:
    draws = np.random.default_rng(0)
    contexts = draws.standard_normal((ROWS, DIMENSION)) / DIMENSION**0.5
    rewards = (contexts @ draws.standard_normal((DIMENSION, len(ARMS)))).tolist()
    decide, learn, rows = {"river": river, "mabwiser": mabwiser, "obp": obp}[library](contexts)
    steps = 0
    start = time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(CHUNK):
            row = steps % ROWS
            arm = decide(rows[row])
            learn(arm, rewards[row][arm], rows[row])
            steps += 1
    print(json.dumps({"version": version(library), "steps_per_second": steps / spent}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
