"""Estimators and intervals over arrays: how many logged decisions a second, beside obp's.

Ours take what a model expects of the logged action and of the policy, a number a decision each. obp takes laws and
predictions of all actions, so "dr, of all actions" does that too: it is the one to hold against obp.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from evaluate_peers import Way, peer, timed, turns
from threadpoolctl import threadpool_limits

from onearm.engine import estimate
from onearm.engine.estimate import Terms
from onearm.engine.estimate.bootstrap import bootstrap
from onearm.engine.estimate.interval import normal
from onearm.engine.estimate.likelihood import empirical_likelihood
from onearm.engine.estimate.sequence import confidence_sequence
from onearm.engine.vocabulary import Array

ARMS = 10
RESAMPLES = 1000
THEIR_RESAMPLES = 100  # of obp's bootstrap, whose own default is 10,000


def arrays(events: int) -> dict[str, Array]:
    """Return a log with the target's law and a model's predictions, of all actions and of those that count."""
    draws = np.random.default_rng(0)
    scores = draws.standard_normal((2, events, ARMS))
    logging, law = (0.9 * each / each.sum(axis=1, keepdims=True) + 0.1 / ARMS for each in np.exp(scores))
    action = (logging.cumsum(axis=1) > draws.random((events, 1))).argmax(axis=1)
    rows = np.arange(events)
    prediction = 1.0 / (1.0 + np.exp(-0.5 * draws.standard_normal((events, ARMS))))
    reward = (draws.random(events) < prediction[rows, action]).astype(np.float64)
    columns = {"reward": reward, "action": action, "propensity": logging[rows, action], "law": law}
    columns |= {"prediction": prediction, "target": law[rows, action]}
    return columns | {
        "predicted": estimate.at_action(prediction, action),
        "expected": estimate.under_law(prediction, law),
    }


def our_ways(log: dict[str, Array]) -> dict[str, Way]:
    """Return what is measured of ours; all that have an interval return its lower end."""
    weighted = (log["reward"], log["propensity"], log["target"])

    def dr() -> Terms:
        return estimate.dr(*weighted, log["predicted"], log["expected"])

    def of_all_actions() -> float:
        rows = np.arange(len(log["reward"]))
        predicted = estimate.at_action(log["prediction"], log["action"])
        expected = estimate.under_law(log["prediction"], log["law"])
        target = log["law"][rows, log["action"]]
        return estimate.dr(log["reward"], log["propensity"], target, predicted, expected).value

    works: dict[str, Callable[[], float]] = {
        "ips": lambda: estimate.ips(*weighted).value,
        "snips": lambda: estimate.snips(*weighted).value,
        "dr": lambda: dr().value,
        "dr, of all actions": of_all_actions,
        "dr, normal": lambda: normal(dr()).low,
        "dr, empirical likelihood": lambda: empirical_likelihood(dr()).low,
        f"dr, bootstrap of {RESAMPLES}": lambda: bootstrap(dr(), resamples=RESAMPLES).low,
        "snips, confidence sequence": lambda: float(confidence_sequence(*weighted).low[-1]),
    }
    return {name: timed(work) for name, work in works.items()}


def measure(events: int, rounds: int, peers: bool, step: Callable[[], None]) -> dict[str, Any]:
    """Return the rates of ours and of obp's, by estimator and interval; None for what failed."""
    log = arrays(events)
    with threadpool_limits(1):
        found: dict[str, Any] = {"events": events, "arms": ARMS, "onearm": turns(our_ways(log), events, rounds, step)}
    if peers:
        with tempfile.TemporaryDirectory() as folder, peer("obp", "obp_arrays.py") as obp:
            file = Path(folder, "log.npz")
            np.savez(file, **{name: log[name] for name in ("reward", "action", "propensity", "law", "prediction")})
            ways = (
                {}
                if obp is None
                else {
                    name: obp.way(file=str(file), way=name, resamples=THEIR_RESAMPLES)
                    for name in ("ips", "snips", "dr", "dr, bootstrap")
                }
            )
            found["obp"] = turns(ways, events, rounds, step)
            found["obp_resamples"] = THEIR_RESAMPLES
    return found
