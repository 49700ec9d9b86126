"""Estimate SNIPS of uniform play from tables with pandas and obp, as its users do: python obp_files.py.

A job is {"form", "shape", "file", "arms"}, the answer {"value", "seconds"}, in CPU seconds of all threads.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np
import pandas as pd
from obp_imports import without_torch

without_torch()

from obp.ope.estimators import SelfNormalizedInverseProbabilityWeighting  # noqa: E402


def snips(job: dict[str, Any]) -> float:
    file = job["file"]
    if job["shape"] == "campaign":  # as obp.dataset.OpenBanditDataset reads one
        table = pd.read_csv(file, index_col=0).sort_values("timestamp")
        table = table.rename(columns={"item_id": "action", "click": "reward", "propensity_score": "propensity"})
    elif job["form"] == "parquet":
        table = pd.read_parquet(file)
    else:
        table = pd.read_csv(file) if job["form"] == "csv" else pd.read_json(file, lines=True)
    estimator = SelfNormalizedInverseProbabilityWeighting()
    return estimator.estimate_policy_value(
        reward=table["reward"].to_numpy(),
        action=table["action"].to_numpy(),
        pscore=table["propensity"].to_numpy(),
        action_dist=np.full((len(table), job["arms"], 1), 1.0 / job["arms"]),
        position=np.zeros(len(table), int),
    )


def main() -> None:
    for line in sys.stdin:
        start = time.process_time()
        try:
            value = snips(json.loads(line))
            answer: dict[str, Any] = {"value": float(value), "seconds": time.process_time() - start}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
