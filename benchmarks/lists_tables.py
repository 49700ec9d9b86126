"""The table of what lists cost and earn: from results/lists.json."""

from __future__ import annotations

from typing import Any

from table_text import machine_line, markdown

NAMES = {
    "plain": "10 arms, no context",
    "context": "10 arms, a context of 32 numbers",
    "actions": "10 actions of the call, 32 numbers each",
}


def lists(result: dict[str, Any]) -> str:
    """Show CPU microseconds of a list beside a single decision, and what policies lose to the best order."""
    slots = result["slots"]
    costs = [["over HTTP, microseconds of CPU", "a decision", f"a list of {slots}", "lists by decisions"]]
    for name, of in result["costs"].items():
        ratio = of["list_us"] / of["single_us"]
        costs.append([NAMES[name], f"{of['single_us']:.0f}", f"{of['list_us']:.0f}", f"{ratio:.2f}"])
    earned = [["policy", "loses to the best order"]]
    for name, of in sorted(result["earned"].items(), key=lambda item: item[1]["lost"]):
        earned.append([f"`{name}`", f"{of['lost']:.1%} ± {of['lost_stderr']:.1%}"])
    runs = f"In {result['lists']:,} lists of {slots} from ten arms, learning included; means of {result['runs']} runs:"
    missed = [f"Missed: {said}." for said in result["missed"]]
    return "\n\n".join([markdown(costs), runs, markdown(earned), *missed, machine_line(result["machine"])])
