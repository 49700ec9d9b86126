"""How much five policies lose on ten arms that are hard to tell apart.

Run: python benchmarks/regret.py [--horizon 100000] [--replications 100] [--out FOLDER]. Writes regret.json and draws
regret.svg. The best arm pays 1 with probability 0.5, each further arm 0.02 less often. No policy was tuned to that, and
the means were set before anything was run. The seed is fixed, so the same curves come out on every machine.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from drawing import apart, draw_all, grid, see_through
from machine import machine

from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

RESULTS = Path(__file__).resolve().parent / "results"
MEANS = [round(0.5 - 0.02 * arm, 2) for arm in range(10)]
# policy: its colour, which can be read on white and on the dark of a page at night
POLICIES = {
    "epsilon_greedy": "#808080",
    "ucb1": "#1A7FC4",
    "exp3_ix": "#9C6ADE",
    "tsallis_inf": "#C2630B",
    "thompson_beta": "#17915A",
}
PARAMS = {"thompson_beta": {"propensities": False}}  # the same choices in distribution, 40 times as fast
GAP = 0.05  # between two labels, as a share of the axis


def run(horizon: int, replications: int) -> dict[str, Any]:
    """Return the mean regret of each policy over time, and its standard error at the end."""
    world = envs.make("bernoulli", mean=MEANS)
    found: dict[str, Any] = {}
    for name in POLICIES:
        curves = simulate(
            policies.make(name, **PARAMS.get(name, {})), world, horizon=horizon, replications=replications, seed=0
        )
        last = curves.regret[:, -1]
        found[name] = {
            "t": curves.t.tolist(),
            "regret": [round(float(mean), 2) for mean in curves.regret.mean(axis=0)],
            "last": float(last.mean()),
            "stderr": float(last.std(ddof=1) / np.sqrt(replications)),
        }
    return {"means": MEANS, "horizon": horizon, "replications": replications, "policies": found}


def curves_of(result: dict[str, Any]) -> Any:
    """Draw mean regret over time, a line for each policy with its name at the end, on no background of its own."""
    figure, axes = grid(1, 1, 8.0, 4.2)
    ax, found, horizon = axes[0, 0], result["policies"], result["horizon"]
    for name, curve in found.items():
        ax.plot(curve["t"], curve["regret"], color=POLICIES[name], linewidth=2.0)
    high = 1.05 * max(curve["last"] for curve in found.values())
    ranked = sorted(found, key=lambda name: found[name]["last"])
    for name, place in zip(ranked, apart([found[name]["last"] for name in ranked], GAP * high, high), strict=True):
        ax.text(1.015 * horizon, place, name, color=POLICIES[name], va="center", fontsize=11)
    ax.set(xlim=(0, horizon), ylim=(0, high))
    ax.set(xlabel="decisions", ylabel="regret: rewards lost so far")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    see_through(figure)
    return figure


def main() -> None:
    """Simulate, draw, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--horizon", type=int, default=100_000)
    parser.add_argument("--replications", type=int, default=100)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder of regret.json and regret.svg")
    options = parser.parse_args()
    result: dict[str, Any] = {"machine": machine(), **run(options.horizon, options.replications)}
    result["plots"] = draw_all({"regret.svg": lambda: curves_of(result)}, options.out)
    (options.out / "regret.json").write_text(json.dumps(result) + "\n")
    for name, curve in result["policies"].items():
        print(f"{name:16} {curve['last']:8,.1f} +- {curve['stderr']:.1f}")


if __name__ == "__main__":
    main()
