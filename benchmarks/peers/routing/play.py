"""Let ParetoBandit route prompts within a budget: python play.py TABLES RUNS, in an environment that holds its pins.

TABLES is an .npz with, of each of the runs, the rows in their order: `contexts` float64[runs, n, d], the last number an
intercept, `rewards` and `costs` float64[runs, n, arms] of every arm. RUNS is a JSON list of {"run", "limit", "start",
...settings}, of which each is one pass; what came from row `start` on counts. Prints {"version", "runs": [{"reward",
"spent", "us"}]} as JSON: means of a decision, and microseconds of CPU that one took with its feedback.
The calls are those of the demonstration that the package brings along.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from pareto_bandit import BanditRouter
from pareto_bandit.budget_pacer import BudgetPacer
from pareto_bandit.demo import ARM_ORDER, BEST_K3_HPARAMS, MODEL_REGISTRY
from pareto_bandit.feature_service import FeatureService
from pareto_bandit.storage import EphemeralContextStore


def play(contexts: Any, rewards: Any, costs: Any, run: dict[str, Any]) -> dict[str, float]:
    router = BanditRouter.create(
        model_registry=dict(MODEL_REGISTRY),
        feature_service=FeatureService.for_precomputed(contexts.shape[1]),
        context_store=EphemeralContextStore(),
        priors="none",
        prior_n_effective=BEST_K3_HPARAMS["prior_n_effective"],
        alpha=BEST_K3_HPARAMS["alpha"],
        forgetting_factor=run["forgetting_factor"],
        cost_penalty=run["cost_penalty"],
        budget_pacer=BudgetPacer(run["limit"]),
        bandit_seed=run["run"],
    )
    earned, spent, start = 0.0, 0.0, time.process_time()
    for row in range(len(contexts)):
        model, log = router.route(contexts[row])
        arm = ARM_ORDER.index(model)
        log.cost_usd = float(costs[row, arm])
        router.process_feedback(log.request_id, reward=float(rewards[row, arm]))
        if row >= run["start"]:
            earned += rewards[row, arm]
            spent += costs[row, arm]
    us = (time.process_time() - start) / len(contexts) * 1e6
    n = len(contexts) - run["start"]
    return {"reward": earned / n, "spent": spent / n, "us": us}


def main(tables: str, runs: str) -> None:
    logging.disable(logging.CRITICAL)
    with np.load(tables) as found:
        contexts, rewards, costs = found["contexts"], found["rewards"], found["costs"]
    played = [play(contexts[run["run"]], rewards[run["run"]], costs[run["run"]], run) for run in json.loads(runs)]
    print(json.dumps({"version": version("paretobandit"), "runs": played}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
