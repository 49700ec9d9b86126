"""Replay one library's disjoint LinUCB on a log: python replay.py, in an environment that holds its pins.

A job is {"library", "file", "learn"}: an .npz file of context [n, d], action and reward [n], and "logged", to learn
every row, or "matched", to learn those on which it agrees with the log. The answer is {"value", "seconds"}: the share
of rows on which it agrees, and CPU seconds of all threads without reading the file. Each library is called as it
documents.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Decide = Callable[[Any], int]
Learn = Callable[[int, float, Any], object]
ARMS = list(range(10))


def river(contexts: np.ndarray) -> tuple[Decide, Learn, list[Any]]:
    from river import bandit

    policy = bandit.LinUCBDisjoint(alpha=0.4, seed=1)
    rows = [dict(enumerate(row.tolist())) for row in contexts]
    return (
        lambda row: policy.pull(ARMS, context=row),
        lambda arm, reward, row: policy.update(arm, row, reward),
        rows,
    )


def mabwiser(contexts: np.ndarray) -> tuple[Decide, Learn, list[Any]]:
    from mabwiser.mab import MAB, LearningPolicy

    mab = MAB(ARMS, LearningPolicy.LinUCB(alpha=0.4, l2_lambda=0.2), seed=1)
    mab.fit(ARMS, [0] * len(ARMS), np.zeros((len(ARMS), contexts.shape[1])))
    rows = [row[np.newaxis] for row in contexts]
    return mab.predict, lambda arm, reward, row: mab.partial_fit([arm], [reward], row), rows


def obp(contexts: np.ndarray) -> tuple[Decide, Learn, list[Any]]:
    from obp_imports import without_torch

    without_torch()
    from obp.policy.linear import LinUCB

    policy = LinUCB(dim=contexts.shape[1], n_actions=len(ARMS), epsilon=0.4, random_state=1)
    rows = [row[np.newaxis] for row in contexts]
    return lambda row: int(policy.select_action(row)[0]), policy.update_params, rows


LIBRARIES = {"river": river, "mabwiser": mabwiser, "obp": obp}


def answer(job: dict[str, Any]) -> dict[str, Any]:
    with np.load(job["file"]) as log:
        contexts, actions, rewards = log["context"], log["action"].tolist(), log["reward"].tolist()
    decide, learn, rows = LIBRARIES[job["library"]](contexts)
    agreed, every = 0, job["learn"] == "logged"
    start = time.process_time()
    for row, action, reward in zip(rows, actions, rewards, strict=True):
        agrees = decide(row) == action
        agreed += agrees
        if agrees or every:
            learn(action, reward, row)
    return {"value": agreed / len(rows), "seconds": time.process_time() - start}


def main() -> None:
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
