"""The plots of sor.py: iterations over rounds, cost over omega, and which omegas were learned for which contexts."""

from __future__ import annotations

import importlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from sor_rules import BEST_FIXED, BEST_POINT, CG, OMEGA_MAX, OMEGA_MIN, Rule
from sor_runs import LAST, OMEGAS, Runs

from onearm.engine.sor import Half, laplacian, solve_sor
from onearm.engine.vocabulary import Array

ROOT = Path(__file__).resolve().parents[2]
OVER_ROUNDS_LEFT_OUT = ("tsallis_inf_weighted", "omega_1.2", "omega_1.4", "omega_1.6", "omega_1.8")
SHIFTS = (-0.15, -0.1, 0.0, 0.15, 0.45)
KAPPAS = ((0.0, 0.03), (0.03, 0.3), (0.3, 2.0), (2.0, 6.0), (6.0, 10.0))
COLOURS = ("#440154", "#3B528B", "#21918C", "#5EC962", "#B8A500")  # of ordered curves: also dark to light
WINDOW = {"shift": 500, "heat": 1000}  # rounds of a moving mean; a period of the heat equation
RIGHT_SIDES = 8
GROUPS = 12  # of contexts, each with as many rounds
Worlds = dict[str, Runs]  # by the title of a panel


def draw(shift: dict[str, Runs], heat: dict[int, Runs], rules: dict[str, Rule], folder: Path) -> list[str]:
    """Draw all that was run into a folder; return the files."""
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        print("!!! matplotlib is not installed: the plots are MISSING from this run", file=sys.stderr)
        return []
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "onearm"  # the same figures give the same bytes
    matplotlib.rcParams["axes.spines.top"] = matplotlib.rcParams["axes.spines.right"] = False
    folder.mkdir(parents=True, exist_ok=True)
    shifts: Worlds = {f"shifted Laplacian, {name} variance": runs for name, runs in shift.items()}
    heats: Worlds = {f"heat equation, {side} x {side}": runs for side, runs in heat.items()}
    figures: dict[str, Any] = {}
    for world, panels in (("shift", shifts), ("heat", heats)):
        if panels:
            figures[f"sor_{world}_rounds.svg"] = over_rounds(panels, rules, WINDOW[world])
            figures[f"sor_{world}_omega.svg"] = learned(panels, rules, world)
    if shift:
        figures["sor_shift_cost.svg"] = cost_of_shifts()
    if sampled := {title: runs for title, runs in heats.items() if runs.table is not None}:
        figures["sor_heat_cost.svg"] = cost_of_kappas(sampled)
    files = []
    for name, figure in figures.items():
        figure.savefig(folder / name, metadata={"Date": None})
        importlib.import_module("matplotlib.pyplot").close(figure)
        files.append(folder / name)
    return [str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file) for file in files]


def grid(rows: int, columns: int, width: float, height: float, **shape: Any) -> tuple[Any, Any]:
    pyplot = importlib.import_module("matplotlib.pyplot")
    size = {"figsize": (width * columns, height * rows), "layout": "constrained", "squeeze": False}
    return pyplot.subplots(rows, columns, **size, **shape)


def over_rounds(panels: Worlds, rules: dict[str, Rule], window: int) -> Any:
    """Above, the iterations made so far; below, the moving mean of those of a solve."""
    figure, axes = grid(2, len(panels), 6.2, 3.9)
    for column, (title, runs) in enumerate(panels.items()):
        above, below = axes[0][column], axes[1][column]
        ends = []
        rounds = max(len(run.cost) for trials in runs.of.values() for run in trials)
        for key, trials in runs.of.items():
            cost = np.mean([run.cost for run in trials], axis=0)
            if key in OVER_ROUNDS_LEFT_OUT:
                continue
            t = (np.arange(len(cost)) + 1) * (rounds / len(cost))  # where steps were sampled, each stands for several
            total = np.cumsum(cost) * (rounds / len(cost))
            style = style_of(key, rules)
            above.plot(t, total, **style)
            ends.append((total[-1], rules[key].label, style["color"]))
            width = max(1, round(min(window, rounds) * len(cost) / rounds))
            mean = np.convolve(cost, np.ones(width) / width, mode="valid")
            below.plot(t[width - 1 :], mean, **style)
        lowest = min(end[0] for end in ends)
        above.set(yscale="log", title=title, ylabel="iterations so far" if not column else "")
        above.set(xlim=(0, rounds), ylim=(lowest / 30, 1.3 * max(end[0] for end in ends)))
        write_at_ends(above, rounds, ends)
        below.set(yscale="log", xlim=(0, rounds), xlabel="round")
        ticks(below, *below.get_ylim())
        if not column:
            below.set_ylabel(f"iterations a solve, mean of {min(window, rounds)} rounds")
        for each in (above, below):
            each.grid(which="major", alpha=0.25)
    return figure


def write_at_ends(axes: Any, x: float, ends: list[tuple[float, str, str]]) -> None:
    """Write labels right of the ends of curves, on a logarithmic axis, moved apart where they would meet."""
    low, high = (math.log(y) for y in axes.get_ylim())
    ordered = sorted((math.log(y), words, colour) for y, words, colour in ends)
    places = apart([y for y, _, _ in ordered], 0.056 * (high - low), high)
    for (y, words, colour), place in zip(ordered, places, strict=True):
        axes.annotate(
            words,
            (x, math.exp(y)),
            (1.03 * x, math.exp(place)),
            color=colour,
            fontsize="small",
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0},
        )


def apart(places: list[float], step: float, high: float) -> list[float]:
    """Return rising places moved up, and below `high` down, until neighbours are a step apart."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + step) if found else place)
    for i in range(len(found) - 1, -1, -1):
        found[i] = min(found[i], high - step * (len(found) - 1 - i))
    return found


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
    right = [b for b in rng.normal(size=(8 * RIGHT_SIDES, 100)) if np.linalg.norm(b) <= 10.0][:RIGHT_SIDES]
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
        for (low, high), colour in zip(KAPPAS, COLOURS, strict=True):
            inside = (runs.table_context >= low) & (runs.table_context < high)
            if not inside.any():
                continue
            cost = runs.table[inside].mean(axis=0)
            each.plot(OMEGAS, cost, color=colour, linewidth=1.8)
            each.plot(OMEGAS[cost.argmin()], cost.min(), "o", color=colour, markersize=6)
            each.text(0.985, cost[0], f"κ {low:g}-{high:g}", color=colour, ha="right", va="center", fontsize="small")
        each.set(yscale="log", xlim=(0.72, OMEGA_MAX), xlabel="ω")
        each.set_title(title, fontsize="medium")
        ticks(each, 0.8 * max(runs.table.mean(axis=0).min() / 3, 1.0), 1.15 * each.get_ylim()[1])
        each.grid(alpha=0.25)
    axes[0][0].set_ylabel("iterations of SSOR-CG; the dots are the lowest")
    return figure


def learned(panels: Worlds, rules: dict[str, Rule], world: str) -> Any:
    """The omegas of the last 1000 rounds over the context: median and the middle 80 %, beside what would be best."""
    names = [key for runs in panels.values() for key in runs.of if learns(key, rules)]
    names = list(dict.fromkeys(names)) or list(next(iter(panels.values())).of)
    figure, axes = grid(len(panels), len(names), 3.1, 2.9, sharex=True, sharey=True)
    for row, (title, runs) in zip(axes, panels.items(), strict=True):
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
            if row is axes[0]:
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
