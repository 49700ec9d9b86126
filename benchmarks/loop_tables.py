"""The tables of decisions that move a state: from results/loop.json."""

from __future__ import annotations

from typing import Any

from table_text import machine_line, markdown


def loop(result: dict[str, Any]) -> str:
    """Show what each policy lost in each world, in worlds that nobody had seen, and what mixtures lost."""
    rows = result["regret"]
    worlds, policies = (list(dict.fromkeys(row[name] for row in rows)) for name in ("environment", "policy"))
    found = {(row["environment"], row["policy"]): row for row in rows}
    lost = [["policy", *worlds]]
    took = [["policy", *worlds]]
    for policy in policies:
        of = [found[world, policy] for world in worlds]
        lost.append([policy, *(_regret(row) for row in of)])
        took.append([policy, *(f"{row['microseconds']:.2f}" for row in of)])
    facts = [["world", "states", "arms", "gain", "span", "best arm", "myopic"]]
    for row in result["worlds"]:
        sizes = [row["environment"], str(row["states"]), str(row["arms"])]
        facts.append([*sizes, *(f"{row[name]:.4g}" for name in ("gain", "span", "gain_stateless", "gain_myopic"))])
    mixed = [["world", "policy", "lost", "plans"]]
    for row in result["mixture"]:
        mixed.append([row["environment"], row["policy"], _regret(row), f"{row['plans']:.1f}"])
    meant = [["half_visit loses in", "times as much", "meant"]]
    meant += [[each["what"], f"{each['found']:.2f}", f"{each['asked']:g}"] for each in result["goals"]]
    others = result["held_out"]["worlds"]
    means = ", ".join(f"{name} {value:.0f}" for name, value in result["held_out"]["geometric_means"].items())
    return "\n\n".join(
        [
            f"`python benchmarks/papers/loop.py`. Rewards lost in {rows[0]['horizon']:,} decisions, by gaps, of "
            f"{rows[0]['seeds']} runs (fewer of those that take long):",
            markdown(lost),
            "The worlds on which `half_visit` was chosen are among these. In others, on which nothing was chosen "
            f"({others[0]} to {others[-1]}, {len(others)} in all), the geometric means are {means}.",
            "What `half_visit` was meant to reach at most, and what it reaches:",
            markdown(meant),
            "What is to be had: the gain of the best policy, of the best arm alone, and of whoever takes the arm that "
            "pays most at once:",
            markdown(facts),
            "Where the parts of the world are known and their shares are not:",
            markdown(mixed),
            "Microseconds of a step, with its share of all plans and the world's own time:",
            markdown(took),
            "![regret, log-log](../benchmarks/results/loop_regret.svg)",
            machine_line(result["machine"]),
        ]
    )


def _regret(row: dict[str, Any]) -> str:
    """Return what was lost in the mean, and the standard error of that."""
    mean, error = row["regret_mean"], row["regret_stderr"]
    digits = 0 if error >= 1.0 else 1
    return f"{mean:,.{digits}f} ± {error:,.{digits}f}"
