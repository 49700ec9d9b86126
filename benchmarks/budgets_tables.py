"""The table of what is earned and spent within a budget: from results/budgets.json."""

from __future__ import annotations

from typing import Any

from table_text import machine_line, markdown, said


def budgets(result: dict[str, Any]) -> str:
    """Show what was earned and spent beside ParetoBandit and the best mixture, what it takes, and what was missed."""
    version = result["limits"][0]["version"]
    parts = [
        f"`python benchmarks/budgets.py` sends prompts to one of three language models: {result['stream']:,}, after "
        f"{result['warm']:,} others to learn on, from the data of ParetoBandit {version}. Each cell is the reward of a "
        "decision and, in brackets, what was spent by the limit, a share of the dear model's mean cost; means of "
        f"{result['runs']} orders of the prompts. The best mixture of the three, whatever the prompt, is known in "
        "hindsight alone.",
        _grid(result, 1.0),
        "The same where all costs double in the middle of the stream:",
        _grid(result, 2.0),
        "Microseconds of a decision with its reward, by a simulation:",
        _speed(result),
        said(result),
        machine_line(result["machine"]),
    ]
    return "\n\n".join(parts)


def _grid(result: dict[str, Any], factor: float) -> str:
    rows = [row for row in result["limits"] if row["factor"] == factor]
    table = [["earned (spent)", *(f"limit {row['share']:.0%}" for row in rows)]]
    table.append(["best mixture", *(f"{row['mixture']:.4f}" for row in rows)])
    for name in rows[0]["ours"]:
        table.append([f"`paced_budget`, {name}", *(_cell(row["ours"][name]) for row in rows)])
    for name in rows[0]["paretobandit"]:
        table.append([f"ParetoBandit, {name}", *(_cell(row["paretobandit"][name]) for row in rows)])
    return markdown(table)


def _cell(found: dict[str, float]) -> str:
    return f"{found['reward']:.4f} ({found['spent']:.2f})"


def _speed(result: dict[str, Any]) -> str:
    table = [["policy", "alone", "in a paced budget"]]
    for name, found in result["speed_us"].items():
        table.append([name, f"{found['alone']:.2f}", f"{found['paced']:.2f}"])
    table.append(["ParetoBandit, 25 numbers, from Python", "-", f"{result['limits'][0]['paretobandit_us']:.0f}"])
    return markdown(table)
