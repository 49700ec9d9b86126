"""How often true propensities are called false, by law and by length; and how soon three faults are found.

Run: python benchmarks/propensity_alarms.py [--json] [--scale 1]. Writes results/propensity_alarms.json. Takes six
minutes on one core.

false   logs whose actions are drawn by exactly the law that they log, of ten laws from kind to unkind and of 20 to a
        million decisions: the share with any warning about propensities. At most 1 % is promised, of all warnings
        together and of each law; `limit` is what a share of 1 % is below in all but one of a thousand measurements
power   logs with a fault, of three laws: the action with the largest propensity is taken, and the softmax is logged;
        actions are drawn evenly, and the softmax is logged; the labels of two actions are swapped. The share that is
        found, by the propensity of the action alone, and where the log has the whole law of each decision

All go through `onearm.engine.estimate.diagnose`, as a person would use it. `--scale 2` takes twice as many logs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from rich.console import Console
from rich.progress import track
from scipy.stats import binom

from onearm.engine.estimate import Diagnostics, diagnose

RESULT = Path(__file__).resolve().parent / "results" / "propensity_alarms.json"
CONSOLE = Console(stderr=True)
PROMISED = 0.01
LOGS = {20: 1000, 100: 1000, 1000: 500, 10_000: 100, 100_000: 20, 1_000_000: 4}  # of each law, by decisions
POWER = (100, 1000, 10_000)
POWER_LOGS = 100
Array = np.ndarray[Any, Any]
Draw = Callable[[np.random.Generator, int], Array]


def softmax(k: int, spread: float) -> Draw:
    """Return laws of normal scores that are new for each decision."""

    def draw(rng: np.random.Generator, n: int) -> Array:
        power = np.exp(spread * rng.standard_normal((n, k)))
        return power / power.sum(axis=1, keepdims=True)

    return draw


def epsilon(k: int, share: float, *, moves: bool) -> Draw:
    """Return laws that prefer one action, by epsilon: always the same, or another for each decision."""

    def draw(rng: np.random.Generator, n: int) -> Array:
        law = np.full((n, k), share / k)
        law[np.arange(n), rng.integers(k, size=n) if moves else 0] += 1.0 - share
        return law

    return draw


def narrowing(rng: np.random.Generator, n: int) -> Array:
    """Return the laws of a policy that becomes sure: epsilon is the decision's number to the power -1/2."""
    share = 1.0 / np.sqrt(1.0 + np.arange(n))
    law = np.repeat(share[:, None] / 3.0, 3, axis=1)
    law[:, 1] += 1.0 - share
    return law


def powers_of_two(rng: np.random.Generator, n: int) -> Array:
    """Return one law with propensities down to 2^-19: the last action has that of the one before it."""
    law = 0.5 ** np.minimum(np.arange(1, 21), 19)
    return np.broadcast_to(law, (n, 20))


def dirichlet(rng: np.random.Generator, n: int) -> Array:
    """Return laws that are mostly sure, and never quite."""
    power = rng.gamma(0.1, size=(n, 5)) + 1e-9
    return power / power.sum(axis=1, keepdims=True)


LAWS: dict[str, Draw] = {
    "even, 4 actions": lambda rng, n: np.full((n, 4), 0.25),
    "epsilon .2, 4 actions, one preferred": epsilon(4, 0.2, moves=False),
    "epsilon .05, 4 actions, any preferred": epsilon(4, 0.05, moves=True),
    "epsilon .001, 10 actions, one preferred": epsilon(10, 0.001, moves=False),
    "softmax, 10 actions, spread 1": softmax(10, 1.0),
    "softmax, 34 actions, spread 2": softmax(34, 2.0),
    "softmax, 10 actions, spread 5": softmax(10, 5.0),
    "more and more sure, 3 actions": narrowing,
    "down to 2^-19, 20 actions": powers_of_two,
    "almost sure, 5 actions": dirichlet,
}
FAULTY = (
    "softmax, 10 actions, spread 1",
    "softmax, 10 actions, spread 5",
    "epsilon .05, 4 actions, any preferred",
    "epsilon .2, 4 actions, one preferred",
)


def drawn(rng: np.random.Generator, law: Array) -> Array:
    """Return an action of each law, int64[n]."""
    n, k = law.shape
    return np.minimum((rng.random((n, 1)) * law.sum(axis=1, keepdims=True) > np.cumsum(law, axis=1)).sum(axis=1), k - 1)


def largest(rng: np.random.Generator, law: Array) -> Array:
    """Return the likeliest action."""
    return law.argmax(axis=1)


def evenly(rng: np.random.Generator, law: Array) -> Array:
    """Return any action."""
    return rng.integers(law.shape[1], size=len(law))


def swapped(rng: np.random.Generator, law: Array) -> Array:
    """Return the action that is drawn, but 1 for 0 and 0 for 1."""
    action = drawn(rng, law)
    return np.where(action < 2, 1 - action, action)


FAULTS = {"largest taken": largest, "evenly drawn": evenly, "two labels swapped": swapped}


def targets(rng: np.random.Generator, law: Array) -> Iterator[Array]:
    """Yield laws of targets: even, sure of one action, and sharper than the log."""
    yield np.full_like(law, 1.0 / law.shape[1])
    yield np.eye(law.shape[1])[np.full(len(law), rng.integers(law.shape[1]))]
    yield law**2 / (law**2).sum(axis=1, keepdims=True)


def alarms(found: Diagnostics) -> list[str]:
    """Return which tests of propensities have raised an alarm."""
    tests = {"weights": found.weights, "actions": found.arms, "law": found.law}
    raised = [name for name, test in tests.items() if test is not None and test.alarm_at is not None]
    return [*raised, "counts"] if found.actions is not None and found.actions.p_value < found.rare else raised


def diagnosed(law: Array, action: Array, target: Array, *, whole: bool) -> list[str]:
    """Return the alarms of one log."""
    rows, k = np.arange(len(law)), law.shape[1]
    of_target = target[rows, action]
    return alarms(diagnose(law[rows, action], of_target, action, k, law=law if whole else None))


def false_alarms(scale: float) -> list[dict[str, Any]]:
    """Return the share of true logs with an alarm, by law and decisions."""
    found = []
    for number, (name, draw) in enumerate(LAWS.items()):
        for n, logs in track(LOGS.items(), f"false: {name}", console=CONSOLE, transient=True):
            count, raised = max(1, round(scale * logs)), {"any": 0, "any with the law": 0}
            for repeat in range(count):
                rng = np.random.default_rng([number, n, repeat])
                law = draw(rng, n)
                action = drawn(rng, law)
                target = list(targets(rng, law))[repeat % 3]
                for whole, key in ((False, "any"), (True, "any with the law")):
                    raised[key] += bool(diagnosed(law, action, target, whole=whole))
            limit = int(binom.ppf(0.999, count, PROMISED)) / count
            shares = {key: hits / count for key, hits in raised.items()}
            found.append({"law": name, "decisions": n, "logs": count, **shares, "limit": limit})
    return found


def power(scale: float) -> list[dict[str, Any]]:
    """Return the share of faulty logs that are found, by fault, law and decisions."""
    found, count = [], max(1, round(scale * POWER_LOGS))
    for name in FAULTY:
        for fault, take in FAULTS.items():
            row: dict[str, Any] = {"law": name, "fault": fault, "logs": count}
            for n in track(POWER, f"power: {fault}", console=CONSOLE, transient=True):
                for whole, key in ((False, f"{n}"), (True, f"{n} with the law")):
                    hits = 0
                    for repeat in range(count):
                        rng = np.random.default_rng([99, n, repeat])
                        law = LAWS[name](rng, n)
                        even = np.full_like(law, 1.0 / law.shape[1])
                        hits += bool(diagnosed(law, take(rng, law), even, whole=whole))
                    row[key] = hits / count
            found.append(row)
    return found


def main() -> None:
    """Measure, write the result, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many logs")
    arguments = parser.parse_args()
    result = {
        "machine": machine(),
        "promised": PROMISED,
        "power_decisions": POWER,
        "false": false_alarms(arguments.scale),
    }
    result["power"] = power(arguments.scale)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    if arguments.json:
        print(json.dumps(result))
    else:
        CONSOLE.print(result["false"], result["power"])


if __name__ == "__main__":
    main()
