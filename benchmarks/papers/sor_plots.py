"""The plots of sor.py: iterations over rounds, cost over omega, and which omegas were learned for which contexts."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from drawing import apart, draw_all, grid
from sor_rules import BEST_FIXED, BEST_POINT, CG, OMEGA_MAX, OMEGA_MIN, Rule
from sor_runs import LAST, OMEGAS, Runs

from onearm.engine.solvers.sor import Half, laplacian, solve_sor
from onearm.engine.vocabulary import Array

OVER_ROUNDS_LEFT_OUT = ("tsallis_inf_weighted", "omega_1.2", "omega_1.4", "omega_1.6", "omega_1.8")
POINTS_MAX = 300  # of a curve over rounds
SHIFTS = (-0.15, -0.1, 0.0, 0.15, 0.45)
KAPPAS = ((0.0, 0.03), (0.03, 0.3), (0.3, 2.0), (2.0, 6.0), (6.0, 10.0))
COLOURS = ("#440154", "#3B528B", "#21918C", "#5EC962", "#B8A500")  # of ordered curves: also dark to light
WINDOW = {"shift": 500, "heat": 1000}  # rounds of a moving mean; a period of the heat equation
RIGHT_SIDES = 24
GROUPS = 20  # of contexts, each with as many rounds
Worlds = dict[str, Runs]  # by the title of a panel


def draw(shift: dict[str, Runs], heat: dict[int, Runs], rules: dict[str, Rule], folder: Path) -> list[str]:
    """Draw all that was run into a folder; return the files."""
    shifts: Worlds = {f"shifted Laplacian, {name} variance": runs for name, runs in shift.items()}
    heats: Worlds = {f"heat equation, {side} x {side}": runs for side, runs in heat.items()}
    figures: dict[str, Callable[[], Any]] = {}
    for world, panels in (("shift", shifts), ("heat", heats)):
        if panels:
            figures[f"sor_{world}_rounds.svg"] = partial(over_rounds, panels, rules, WINDOW[world])
            figures[f"sor_{world}_omega.svg"] = partial(learned, panels, rules, world)
    if shift:
        figures["sor_shift_cost.svg"] = cost_of_shifts
    if sampled := {title: runs for title, runs in heats.items() if runs.table is not None}:
        figures["sor_heat_cost.svg"] = partial(cost_of_kappas, sampled)
    return draw_all(figures, folder)


def over_rounds(panels: Worlds, rules: dict[str, Rule], window: int) -> Any:
    """Above, the iterations made so far; below, the moving mean of those of a solve."""
    figure, axes = grid(2, len(panels), 6.4, 4.2)
    for column, (title, runs) in enumerate(panels.items()):
        above, below = axes[0][column], axes[1][column]
        rounds = max(len(run.cost) for trials in runs.of.values() for run in trials)
        curves = {
            key: np.mean([run.cost for run in trials], axis=0)
            for key, trials in runs.of.items()
            if key not in OVER_ROUNDS_LEFT_OUT
        }
        top = height(curves, rules)
        ends, lasts = [], []
        for key, cost in curves.items():
            each = rounds / len(cost)  # where steps were sampled, one stands for several
            t, total = (np.arange(len(cost)) + 1) * each, np.cumsum(cost) * each / 1000.0
            style = style_of(key, rules)
            above.plot(*thinned(t, total), **style)
            inside = total <= top * rounds / 1000.0
            ends.append((t[inside][-1], total[inside][-1], key))
            width = max(1, round(min(window, rounds) * len(cost) / rounds))
            mean = np.convolve(cost, np.ones(width) / width, mode="valid")
            below.plot(*thinned(t[width - 1 :], mean), **style)
            lasts.append((float(rounds), mean[-1], key))
        above.set(title=title, xlim=(0, rounds), ylim=(0.0, top * rounds / 1000.0))
        below.set(yscale="log", xlim=(0, rounds), xlabel="round")
        ticks(below, *below.get_ylim())
        for place, found in ((above, ends), (below, lasts)):
            place.grid(which="major", alpha=0.25)
            write_at_ends(place, found, rules)
    axes[0][0].set_ylabel("iterations so far, in thousands")
    axes[1][0].set_ylabel(f"iterations a solve, mean of {window} rounds")
    return figure


def height(curves: dict[str, Array], rules: dict[str, Rule]) -> float:
    """Return the iterations a round at which the upper panels end: above all that learns, not above the rest."""
    means = {key: float(cost.mean()) for key, cost in curves.items()}
    shown = [means[key] for key in means if learns(key, rules) or key == BEST_FIXED]
    return 1.25 * max(shown or means.values())


def thinned(x: Array, y: Array) -> tuple[Array, Array]:
    """Return at most POINTS_MAX points of a curve, its ends among them."""
    at = np.unique(np.linspace(0, len(x) - 1, POINTS_MAX).astype(int))
    return x[at], y[at]


def write_at_ends(axes: Any, ends: list[tuple[float, float, str]], rules: dict[str, Rule]) -> None:
    """Write labels right of the panel, level with the ends of curves, moved apart where they would meet."""
    to_height = axes.transData + axes.transAxes.inverted()
    heights = [(round(float(to_height.transform((x, y))[1]), 2), -x, y, key) for x, y, key in ends]
    heights.sort()  # of those that leave at the top the one that leaves first is the highest
    places = apart([each[0] for each in heights], 0.062, 1.0)
    for (_, x, y, key), place in zip(heights, places, strict=True):
        axes.annotate(
            rules[key].label,
            (-x, y),
            (1.05, place),
            textcoords="axes fraction",
            color=style_of(key, rules)["color"],
            fontsize="small",
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "#BBBBBB", "linewidth": 0.6, "relpos": (0, 0.5)}
            | {"shrinkA": 1, "shrinkB": 0},
        )


def style_of(key: str, rules: dict[str, Rule]) -> dict[str, Any]:
    """Return how a rule's curve looks: dotted in hindsight, dashed without learning."""
    rule = rules[key]
    if key in (BEST_FIXED, BEST_POINT):
        line = (":", 1.6)
    elif rule.policy in ("fixed_omega", "uniform", "young") or key == CG:
        line = ("--", 1.3)
    else:
        line = ("-", 1.7)
    return {"color": rule.colour, "linestyle": line[0], "linewidth": line[1]}


def ticks(axes: Any, low: float, high: float) -> None:
    """Label a short logarithmic axis with round numbers."""
    ticker = importlib.import_module("matplotlib.ticker")
    marks = [m * 10**e for e in range(-1, 5) for m in (1, 2, 3, 5, 7) if low <= m * 10**e <= high]
    axes.yaxis.set_major_locator(ticker.FixedLocator(marks))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda y, _: f"{y:g}"))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.set_ylim(low, high)


def cost_of_shifts() -> Any:
    """Mean sweeps of SOR over omega, for several shifts; Young's omega is marked."""
    figure, axes = grid(1, 1, 7.0, 4.6)
    omegas = np.linspace(OMEGA_MIN, OMEGA_MAX, 96)
    for shift, colour in zip(SHIFTS, COLOURS, strict=True):
        radius = 4.0 * math.cos(math.pi / 11) / (4.0 + shift)
        best = 2.0 / (1.0 + math.sqrt(1.0 - radius * radius))
        costs = sweeps(shift, np.append(omegas, best))
        axes[0][0].plot(omegas, costs[:-1], color=colour, linewidth=1.8)
        axes[0][0].plot(best, costs[-1], "o", color=colour, markersize=6)
        axes[0][0].text(0.99, costs[0], f"c = {shift:g}", color=colour, ha="right", va="center", fontsize="small")
    axes[0][0].set(yscale="log", xlim=(0.88, OMEGA_MAX), xlabel="ω", ylabel="sweeps of SOR to a residual of 1e-8")
    axes[0][0].set_title("shifted Laplacian, 100 unknowns: the dots are Young's ω", fontsize="medium")
    ticks(axes[0][0], 15, 3000)
    axes[0][0].grid(alpha=0.25)
    return figure


def sweeps(shift: float, omegas: Array) -> Array:
    """Return the mean sweeps at each omega over a few right-hand sides, normal and within the ball of radius 10."""
    pattern, rng = laplacian(10), np.random.default_rng(1)
    half = Half(pattern.start, pattern.index, pattern.value, pattern.diagonal + shift)
    right = [b for b in rng.normal(size=(4 * RIGHT_SIDES, 100)) if np.linalg.norm(b) <= 10.0][:RIGHT_SIDES]
    r, d = np.zeros(100), np.zeros(100)
    cost = [
        [solve_sor(half, b, np.zeros(100), float(w), 1e-8 * np.linalg.norm(b), 10_000, r, d).iterations for b in right]
        for w in omegas
    ]
    return np.mean(cost, axis=1)


def cost_of_kappas(panels: Worlds) -> Any:
    """Mean steps of conjugate gradients over omega, for several ranges of the diffusivity."""
    figure, axes = grid(1, len(panels), 4.6, 4.2)
    for each, (title, runs) in zip(axes[0], panels.items(), strict=True):
        assert runs.table is not None and runs.table_context is not None
        lowest, highest = math.inf, 0.0
        starts = []
        for (low, high), colour in zip(KAPPAS, COLOURS, strict=True):
            inside = (runs.table_context >= low) & (runs.table_context < high)
            if not inside.any():
                continue
            cost = runs.table[inside].mean(axis=0)
            lowest, highest = min(lowest, cost.min()), max(highest, cost.max())
            each.plot(OMEGAS, cost, color=colour, linewidth=1.8)
            each.plot(OMEGAS[cost.argmin()], cost.min(), "o", color=colour, markersize=6)
            starts.append((math.log(cost[0]), f"κ {low:g}-{high:g}", colour))
        each.set(yscale="log", xlim=(0.72, OMEGA_MAX), xlabel="ω")
        each.set_title(title, fontsize="medium")
        ticks(each, 0.8 * lowest, 1.2 * highest)
        places = apart([place for place, _, _ in starts], 0.05 * math.log(highest / lowest), math.log(highest))
        for (_, words, colour), place in zip(starts, places, strict=True):
            each.text(0.985, math.exp(place), words, color=colour, ha="right", va="center", fontsize="small")
        each.grid(alpha=0.25)
    axes[0][0].set_ylabel("iterations of SSOR-CG; the dots are the lowest")
    return figure


def learned(panels: Worlds, rules: dict[str, Rule], world: str) -> Any:
    """The omegas of the last 1000 rounds over the context: median and the middle 80 %, beside what would be best."""
    names = [key for runs in panels.values() for key in runs.of if learns(key, rules)]
    names = list(dict.fromkeys(names)) or list(next(iter(panels.values())).of)
    figure, axes = grid(len(panels), len(names), 3.1, 2.9, sharex=True, sharey=True)
    for number, (row, (title, runs)) in enumerate(zip(axes, panels.items(), strict=True)):
        for each, key in zip(row, names, strict=True):
            best = reference(runs)
            if best is not None:
                x, low, middle, high = groups(*best)
                each.plot(x, middle, color="#000000", linewidth=1.2, linestyle="--")
            if key in runs.of:
                pairs = [(run.context[-LAST:], runs.omega_of[key][run.arm[-LAST:]]) for run in runs.of[key]]
                x, low, middle, high = groups(*(np.concatenate(part) for part in zip(*pairs, strict=True)))
                each.fill_between(x, low, high, color=rules[key].colour, alpha=0.25, linewidth=0)
                each.plot(x, middle, color=rules[key].colour, linewidth=1.8, marker="o", markersize=3)
            if number == 0:
                each.set_title(rules[key].label, color=rules[key].colour, fontsize="medium")
            if world == "heat":
                each.set_xscale("symlog", linthresh=0.1, linscale=0.5)
                each.set_xticks([0, 0.1, 1, 10], ["0", "0.1", "1", "10"])
            each.grid(alpha=0.25)
            each.set_ylim(OMEGA_MIN - 0.02, OMEGA_MAX + 0.02)
        row[0].set_ylabel(f"{title.split(', ')[1]}: ω")
    figure.supxlabel(
        ("shift" if world == "shift" else "diffusivity κ")
        + f"; last {LAST} rounds, median and middle 80 %; dashed: the best of 20 omegas",
        fontsize="medium",
    )
    return figure


def learns(key: str, rules: dict[str, Rule]) -> bool:
    """Tell whether a rule's omegas are worth a panel."""
    left_out = key in (BEST_FIXED, BEST_POINT, CG, *OVER_ROUNDS_LEFT_OUT)
    return not left_out and rules[key].policy not in ("fixed_omega", "uniform", "young")


def reference(runs: Runs) -> tuple[Array, Array] | None:
    """Return contexts and what is best for each: the middle of the cheapest omegas."""
    if runs.table is None or runs.table_context is None:
        return None
    cheapest = runs.table == runs.table.min(axis=1, keepdims=True)
    return runs.table_context, (cheapest * OMEGAS).sum(axis=1) / cheapest.sum(axis=1)


def groups(context: Array, omega: Array) -> tuple[Array, Array, Array, Array]:
    """Return, for groups of equally many contexts, the median context and the 10, 50 and 90 % quantiles of omega."""
    order = np.argsort(context, kind="stable")
    parts = [part for part in np.array_split(order, GROUPS) if len(part)]
    quantiles = np.array([np.quantile(omega[part], (0.1, 0.5, 0.9)) for part in parts])
    return np.array([np.median(context[part]) for part in parts]), *quantiles.T
