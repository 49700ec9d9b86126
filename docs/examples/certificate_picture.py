"""Draw docs/certificate.svg: what two policies lose, and what they prove of it as they go.

Run it: python docs/examples/certificate_picture.py. Slopes of the losses jump about a
small mean, in an order fixed beforehand, so that the regret is that of the losses that came. It needs matplotlib, of
the extra `dev`.
"""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from onearm.engine.simulation import simulate
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

COLOURS = {"gradient_descent": "#d55e00", "optimistic_ftrl": "#0072b2"}  # told apart by the colour-blind, too
HORIZON = 100_000
PICTURE = Path(__file__).resolve().parent.parent / "certificate.svg"


def runs(horizon=HORIZON):
    """Return the curves of one run of each policy."""
    world = envs.make("sea", noise=0.0, drift=0.2, wall=0.0, reach=0.05)
    return {name: simulate(policies.make(name), world, horizon=horizon, seed=1) for name in COLOURS}


def draw(found, file):
    """Write the picture; the same curves make the same bytes."""
    plt.rcParams |= {"svg.hashsalt": "onearm", "svg.fonttype": "none", "font.size": 10}
    figure, axes = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
    for name, curves in found.items():
        for line, style, word, up in ((curves.bound[0], "--", "certificate", 4), (curves.regret[0], "-", "regret", -9)):
            axes.loglog(curves.t, line, style, color=COLOURS[name], linewidth=1.6)
            where = {"xytext": (6, up), "textcoords": "offset points", "color": COLOURS[name], "fontsize": 9}
            axes.annotate(f"{name}, {word}", (curves.t[-1], line[-1]), **where)
    axes.set(xlabel="rounds", ylabel="in total, in units of the loss", xlim=(1, found["optimistic_ftrl"].t[-1]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    draw(runs(), PICTURE)
