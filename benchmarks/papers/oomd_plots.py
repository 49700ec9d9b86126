"""The plots of oomd.py: regret over T, over the variance, over the pieces of a stream, and certificates over regret."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from drawing import BLUE, GREEN, GREY, OLIVE, ORANGE, PURPLE, apart, draw_all, grid
from oomd_claims import spread
from oomd_rules import CONVEX, MOVING

REGIMES = {"noise": "noise alone", "slow drift": "slow drift, no noise", "drift and noise": "drift and noise"}
# table: what is said of it, colour
KINDS = {
    "convex": ("convex", BLUE),
    "scaling": ("random steps", GREEN),
    "strongly_convex": ("strongly convex", ORANGE),
    "exp_concave": ("exp-concave", PURPLE),
    "dynamic": ("jumping minimiser", OLIVE),
    "implicit": ("absolute loss", GREY),
}
Ends = list[tuple[float, float, str, str]]  # x and y of a curve's end, its label and colour


def draw(result: dict[str, Any], folder: Path) -> list[str]:
    """Draw all that was run into a folder; return the files."""
    figures: dict[str, Callable[[], Any]] = {}
    if result.get("convex"):
        figures["oomd_regret.svg"] = lambda: over_rounds(result["convex"])
    if result.get("scaling"):
        figures["oomd_scaling.svg"] = lambda: over_variance(result["scaling"])
    if result.get("dynamic"):
        figures["oomd_dynamic.svg"] = lambda: over_pieces(result["dynamic"])
    if any(result.get(name) for name in KINDS):
        figures["oomd_certificate.svg"] = lambda: over_regret(result)
    return draw_all(figures, folder)


def over_rounds(rows: list[dict[str, Any]]) -> Any:
    """Regret at the end of runs of several lengths, in three regimes; shades are two standard errors."""
    figure, axes = grid(1, len(REGIMES), 5.6, 4.4, sharey=True)
    for each, (case, title) in zip(axes[0], REGIMES.items(), strict=True):
        ends: Ends = []
        for key, rule in CONVEX.items():
            mine = [row for row in rows if (row["case"], row["policy"]) == (case, key) and row["regret_mean"] > 0.0]
            if not mine:
                continue
            t = np.array([row["horizon"] for row in mine])
            mean, error = (np.array([row[name] for row in mine]) for name in ("regret_mean", "regret_stderr"))
            each.plot(t, mean, color=rule.colour, marker="o", markersize=3.5, linewidth=1.8)
            each.fill_between(
                t, np.maximum(mean - 2 * error, 0.5), mean + 2 * error, color=rule.colour, alpha=0.15, linewidth=0
            )
            ends.append((t[-1], mean[-1], rule.label, rule.colour))
        each.set(xscale="log", yscale="log", xlabel="rounds T", ylim=(0.8, 150))
        each.set_title(title, fontsize="medium")
        guide(each)
        each.grid(alpha=0.25)
        write_at_ends(each, ends)
    axes[0][0].set_ylabel("regret against the best fixed point")
    return figure


def guide(axes: Any) -> None:
    """Show how sqrt(T) grows."""
    t = np.array([1000.0, 20_000.0])
    axes.plot(t, 25.0 * np.sqrt(t / 1000.0), color="#BBBBBB", linestyle=":", linewidth=1.2)
    axes.text(4000.0, 56.0, "√T", color=GREY, fontsize="small", ha="right")


def over_variance(rows: list[dict[str, Any]]) -> Any:
    """Regret over the root of the variance; lines of slope 1, and the ceiling of the theory."""
    figure, axes = grid(1, 2, 5.4, 4.4, sharey=True)
    for each, (case, letter) in zip(axes[0], (("noise", r"$\sigma$"), ("jitter", r"$\Sigma$")), strict=True):
        ends: Ends = []
        for key, marker in (("optimistic_omd_paper", "o"), ("optimistic_ftrl", "s")):
            mine = [row for row in rows if (row["case"], row["policy"]) == (case, key)]
            if not mine:
                continue
            x, y = np.array(sorted(spread(mine))).T
            each.plot(x, y, color=CONVEX[key].colour, marker=marker, markersize=5, linewidth=1.0, alpha=0.9)
            ends.append((x[-1], y[-1], CONVEX[key].label, CONVEX[key].colour))
        if not ends:
            continue
        low, high = each.get_xlim()[0], ends[0][0]
        line = np.array([max(low, 2.0), high])
        factor = 2.0 * 5.0 * (np.sqrt(2.0) if case == "noise" else 1.0)
        each.plot(line, factor * line, color=GREY, linestyle="--", linewidth=1.2)
        ends.append((high, factor * high, "the paper's ceiling", GREY))
        each.set(xscale="log", yscale="log", xlabel=f"√({letter}² summed over rounds)")
        each.set_title(
            "drawn steps (noise)" if case == "noise" else "a fixed sequence of steps (drift)", fontsize="medium"
        )
        each.grid(alpha=0.25)
        write_at_ends(each, ends)
    axes[0][0].set_ylabel("regret against the best fixed point")
    return figure


def over_pieces(rows: list[dict[str, Any]]) -> Any:
    """Dynamic regret over the number of pieces between jumps of the minimiser."""
    noises = sorted({row["noise"] for row in rows})
    figure, axes = grid(1, len(noises), 5.6, 4.4, sharey=True)
    for each, noise in zip(axes[0], noises, strict=True):
        ends: Ends = []
        policies = dict.fromkeys(row["policy"] for row in rows)
        for key in sorted(policies, key=lambda key: not key.startswith("learner_")):
            mine = sorted(
                (row["pieces"], row["expected_mean"]) for row in rows if (row["noise"], row["policy"]) == (noise, key)
            )
            x, y = np.array(mine).T
            alone = key.startswith("learner_")
            colour = "#CFCFCF" if alone else MOVING[key].colour
            each.plot(x, y, color=colour, linewidth=1.0 if alone else 1.9, marker=None if alone else "o", markersize=4)
            if not alone:
                ends.append((x[-1], y[-1], MOVING[key].label, colour))
        each.set(xscale="log", yscale="log", xlabel="pieces, of 20,000 rounds in all")
        each.set_title(f"noise {noise:g}; grey: each learner of the ensemble alone", fontsize="medium")
        each.grid(alpha=0.25)
        write_at_ends(each, ends)
    axes[0][0].set_ylabel("regret against the best point of each piece")
    return figure


def over_regret(result: dict[str, Any]) -> Any:
    """The certificate over the regret of every single run: none is below the diagonal."""
    figure, axes = grid(1, 1, 7.6, 5.2)
    each, lowest = axes[0][0], 0.0
    for name, (label, colour) in KINDS.items():
        runs = [run for row in result.get(name, []) if row["certificate"] is not None for run in row["runs_"]]
        if runs:
            x, y = ([getattr(run, what)[-1] for run in runs] for what in ("regret", "bound"))
            lowest = min(lowest, *y)
            style = {"color": colour, "alpha": 0.55, "markersize": 3.5, "markeredgewidth": 0, "linestyle": "none"}
            each.plot(x, y, "o", label=f"{label}: {len(runs)} runs", **style)
    each.set_xscale("symlog", linthresh=1.0)
    each.set_yscale("symlog", linthresh=1.0)
    low, high = each.get_xlim()
    line = np.concatenate([-np.geomspace(max(-low, 1.0), 0.01, 100), np.geomspace(0.01, high, 100)])
    each.plot(line, line, color="#1B1B1B", linewidth=1.2)
    each.fill_between(line, line, low, color="#1B1B1B", alpha=0.06, linewidth=0)
    each.set(xlabel="regret of a run against the best fixed point", ylabel="its certificate")
    each.set(xlim=(low, high), ylim=(-3.0 * max(-lowest, 1.0), None))
    words = "no run lies here: a certificate below the regret"
    each.text(0.97, 0.05, words, transform=each.transAxes, ha="right", fontsize="small")
    each.legend(loc="lower right", bbox_to_anchor=(0.99, 0.09), fontsize="small", frameon=False)
    each.grid(alpha=0.25)
    return figure


def write_at_ends(axes: Any, ends: Ends) -> None:
    """Write labels right of the panel, level with the ends of curves, moved apart where they would meet."""
    to_height = axes.transData + axes.transAxes.inverted()
    heights = sorted((float(to_height.transform((x, y))[1]), x, y, label, colour) for x, y, label, colour in ends)
    places = apart([height for height, *_ in heights], 0.062, 1.0)
    for (_, x, y, label, colour), place in zip(heights, places, strict=True):
        arrow = {
            "arrowstyle": "-",
            "color": "#BBBBBB",
            "linewidth": 0.6,
            "relpos": (0, 0.5),
            "shrinkA": 1,
            "shrinkB": 0,
        }
        style = {"color": colour, "fontsize": "small", "va": "center", "annotation_clip": False, "arrowprops": arrow}
        axes.annotate(label, (x, y), (1.05, place), textcoords="axes fraction", **style)
