"""The tables of policies on trial: from results/lives.json."""

from __future__ import annotations

from typing import Any

from table_text import machine_line, markdown


def lives(result: dict[str, Any]) -> str:
    """Show how often a guard moves a canary that is no better, how long it takes, and what shadows cost."""
    same = [["clients' rewards", "share of the canary", "lives", "promoted", "retired"]]
    for row in result["without_difference"]:
        counts = [str(row[name]) for name in ("lives", "promoted", "demoted")]
        same.append([row["world"], f"{row['share']:.0%}", *counts])
    times = [["worth of the live policy", "canary is worth more by", "its share", "decisions until it is promoted"]]
    for row in result["with_difference"]:
        needed = f"more than {row['most']:,}" if row["decisions"] is None else f"{row['decisions']:,}"
        times.append([f"{row['base']:g}", f"{row['difference']:g}", f"{row['share']:.0%}", needed])
    cost = [["shadows", "requests served a second, by those without", "CPU of a request, by that without"]]
    for row in result["shadows"]:
        cost.append([str(row["shadows"]), f"{row['served']:.2f}", f"{row['cpu']:.2f}"])
    return "\n\n".join(
        [
            f"`python benchmarks/lives.py`. Lives of {result['decisions']:,} decisions in which canary and live policy "
            f"know the same; a guard of alpha {result['alpha']:g} looks every {result['looks_each']} of them:",
            markdown(same),
            f"Lives in which the canary is better, the median of {result['with_difference'][0]['lives']} each:",
            markdown(times),
            "A service that is asked as fast as it answers, on 64 connections; what shadows read later is counted:",
            markdown(cost),
            machine_line(result["machine"]),
        ]
    )
