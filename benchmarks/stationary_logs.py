"""False alarms on 40 logs in which nothing changes: truths that models cannot follow, and contexts that move.

Run: python benchmarks/stationary_logs.py [--decisions 20000] [--policy fourier_softmax] [--json]. Each log is replayed
by `onearm.replay` with `adaptive` around the policy, which learns every row of a log that was drawn evenly. Truths: a
step, the sign of a product (XOR), noise that depends on the context, and noise of heavy tails. Contexts stay, shift by
and by, walk, come from two crowds whose shares move, or have seasons; of each truth and each of these there are two.
Exits with 1 where a change was found.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from typing import Any

import numpy as np
import polars
from rich.console import Console
from rich.progress import track

import onearm

LENGTH, ARMS, SEEDS = 4, 3, 2
TRUTHS = ("step", "xor", "heteroscedastic", "heavy tails")
MOVES = ("stay", "shift", "walk", "crowds", "seasons")


def contexts(moves: str, n: int, random: Any) -> Any:
    """Return contexts, float64[n, 4]."""
    x, t, way = random.normal(size=(n, LENGTH)), np.arange(n)[:, None] / n, random.choice([-1.5, 1.5], size=LENGTH)
    match moves:
        case "shift":
            return x + way * t
        case "walk":
            return x + 1.5 * np.cumsum(random.normal(size=(n, LENGTH)), 0) / np.sqrt(n)
        case "crowds":
            other = random.random(n) < np.clip(2.0 * t[:, 0] - 0.5, 0.05, 0.95)
            return 0.6 * x + np.where(other[:, None], 0.8, -0.8) * way
        case "seasons":
            return x + way * np.sin(6.0 * np.pi * t)
        case _:
            return x


def rewards(truth: str, x: Any, random: Any) -> Any:
    """Return what each arm pays, float64[n, 3]: a law of the context that stays."""
    w = random.normal(size=(LENGTH, ARMS))
    score = x @ (w / np.linalg.norm(w, axis=0))
    noise = random.normal(size=score.shape)
    match truth:
        case "step":
            return (score > 0.7 * random.normal(size=ARMS)) * random.uniform(0.5, 2.0, ARMS) + 0.5 * noise
        case "xor":
            return np.sign(x[:, :ARMS] * np.roll(x, -1, axis=1)[:, :ARMS]) + 0.5 * noise
        case "heteroscedastic":
            return (score > 0.5) + np.where(x[:, :1] > 0.0, 2.0, 0.2) * noise
        case _:
            return np.exp((score > 0.5) + 1.2 * noise)


def found(truth: str, moves: str, seed: int, n: int, policy: str) -> list[dict[str, Any]]:
    """Return the changes that were found on one log."""
    random = np.random.default_rng([seed, TRUTHS.index(truth), MOVES.index(moves)])
    x = contexts(moves, n, random)
    action = random.integers(0, ARMS, n)
    reward = rewards(truth, x, random)[np.arange(n), action]
    columns = {f"x{j}": x[:, j] for j in range(LENGTH)}
    log = polars.DataFrame({"action": action, "reward": reward, "propensity": np.full(n, 1.0 / ARMS), **columns})
    spec = f'adaptive:{{"policy": "{policy}"}}'
    data = onearm.replay(log, spec, learn="logged", method="snips", diagnostics=False).to_dict()
    return [change for changes in data.get("changes", {}).values() for change in changes]


def main() -> int:
    """Replay all logs, and say on which a change was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decisions", type=int, default=20_000, help="of each log")
    parser.add_argument(
        "--policy", default="fourier_softmax", help="the policy inside, by default that of new experiments"
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    logs = list(itertools.product(TRUTHS, MOVES, range(SEEDS)))
    rows = [
        {
            "truth": truth,
            "contexts": moves,
            "seed": seed,
            "changes": found(truth, moves, seed, options.decisions, options.policy),
        }
        for truth, moves, seed in track(logs, "logs", console=Console(stderr=True))
    ]
    alarms = [row for row in rows if row["changes"]]
    if options.json:
        print(json.dumps({"logs": len(logs), "decisions": options.decisions, "alarms": len(alarms), "rows": rows}))
    else:
        print(f"{len(alarms)} of {len(logs)} logs of {options.decisions:,} decisions without a change told of one")
        for row in alarms:
            print(f"  {row['truth']}, contexts that {row['contexts']}, seed {row['seed']}: {row['changes']}")
    return 1 if alarms else 0


if __name__ == "__main__":
    sys.exit(main())
