"""Time obp's estimators over arrays: python obp_arrays.py, in an environment with its pins.

A job is {"file", "way", "resamples"}: an .npz file of reward, action, propensity [n], law and prediction [n, k]. The
answer is {"value", "seconds"}, in CPU seconds of all threads, without reading the file.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
from obp_imports import without_torch

without_torch()

from obp.ope.estimators import (  # noqa: E402
    DoublyRobust,
    InverseProbabilityWeighting,
    SelfNormalizedInverseProbabilityWeighting,
)

ESTIMATORS = {
    "ips": InverseProbabilityWeighting,
    "snips": SelfNormalizedInverseProbabilityWeighting,
    "dr": DoublyRobust,
}


def arguments(file: str) -> dict[str, Any]:
    """Return a log as obp's estimators take it."""
    with np.load(file) as log:
        return {
            "reward": log["reward"],
            "action": log["action"],
            "pscore": log["propensity"],
            "action_dist": log["law"][:, :, np.newaxis],
            "estimated_rewards_by_reg_model": log["prediction"][:, :, np.newaxis],
            "position": np.zeros(len(log["reward"]), int),
        }


def answer(job: dict[str, Any], log: dict[str, Any]) -> dict[str, Any]:
    name, comma, _ = job["way"].partition(",")
    estimator = ESTIMATORS[name]()
    if name != "dr":
        log = {key: value for key, value in log.items() if not key.startswith("estimated")}
    start = time.process_time()
    if comma:
        interval = estimator.estimate_interval(**log, n_bootstrap_samples=job["resamples"], random_state=0)
        value = next(end for key, end in interval.items() if "lower" in key)
    else:
        value = estimator.estimate_policy_value(**log)
    return {"value": float(value), "seconds": time.process_time() - start}


def main() -> None:
    logs: dict[str, dict[str, Any]] = {}
    for line in sys.stdin:
        job = json.loads(line)
        try:
            if job["file"] not in logs:
                logs[job["file"]] = arguments(job["file"])
            found = answer(job, logs[job["file"]])
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
