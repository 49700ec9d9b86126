"""The tables of active learning: worst losses found by difficulty, exact optima of small problems, what was reached."""

from __future__ import annotations

from typing import Any

from table_text import drawn, machine_line, markdown, said

TITLES = {
    "arms": "best of 5 arms, 15 pulls: probability of a wrong arm",
    "thresholds": "cut of 10 points, 20 labels: excess errors",
}
FEW = ("robust", "robust_sample", "robust_greedy", "lucb_budget", "uniform_budget")  # policies of the short table
Rows = list[dict[str, Any]]


def active(result: dict[str, Any]) -> str:
    """Show the worst losses of the trained policy beside uniform play and the best index rule, and its speed."""
    tables = [worst(result, name, few=True) for name in result["gap"]]
    return "\n\n".join([*tables, costs(result), said(result), machine_line(result["machine"])])


def active_more(result: dict[str, Any]) -> str:
    """Show the worst losses of all policies, exact optima, how the policies were made, and the plots."""
    tables = [worst(result, name, few=False) for name in result["gap"]]
    return "\n\n".join([*tables, exact(result["lp"]), origin(result), *drawn(result), machine_line(result["machine"])])


def worst(result: dict[str, Any], name: str, *, few: bool) -> str:
    """Show the worst loss found at each level, and the largest difference to the least of all policies there."""
    rows = [row for row in result["worst_case"] if row["task"] == name]
    gaps = result["gap"][name]
    levels = list(dict.fromkeys(row["level"] for row in rows))
    table = [[TITLES[name], *(f"r = {level:g}" for level in levels), "gap"]]
    for policy in sorted(gaps, key=lambda policy: gaps[policy]):
        if few and policy not in FEW:
            continue
        mine = [row for row in rows if row["policy"] == policy]
        table.append([mine[0]["label"], *(f"{row['loss']:.3f}" for row in mine), f"{gaps[policy]:.3f}"])
    error = max(row["stderr"] for row in rows if row["policy"] in FEW)
    return f"{markdown(table)}\n\nWorst found, by an adversary against each policy; standard errors up to {error:.3f}."


def costs(result: dict[str, Any]) -> str:
    """Say what a decision costs."""
    speed = result.get("speed")
    if not speed:
        return "Speed was not measured in this run."
    row = speed["thresholds"]
    words = f"A decision of the 10-point network takes {row['engine_us']:.2f} us in the engine"
    words += f" ({row['of_c']:.2f} times a C loop at -O3)" if "of_c" in row else ""
    words += f", {row['ask_us']:.1f} us to ask and {row['tell_us']:.1f} us to tell from Python"
    words += f"; NumPy takes {row['numpy_us']:.0f} us"
    return f"{words}. One for 5 arms takes {speed['arms']['engine_us']:.2f} us."


def exact(rows: Rows) -> str:
    """Show what the linear programmes found."""
    table = [
        ["exact, on a grid of means", "least worst loss of each level", "gap of the robust optimum", "of uniform play"]
    ]
    for row in rows:
        losses = " ".join(f"{loss:.6f}" for loss in row["minimax"])
        table.append([row["problem"], losses, f"{row['gap']:.6f}", f"{row['uniform_gap']:.6f}"])
    return markdown(table)


def origin(result: dict[str, Any]) -> str:
    """Say how the trained policies were made."""
    lines = []
    for name, how in result["made"].items():
        lines.append(f"- {TITLES[name]}: `{how['artefact']}`, by `{how['command']}`; kept: {how['candidate']}.")
    return "\n".join(lines)
