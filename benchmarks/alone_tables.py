"""The tables of a service that is left alone: what neighbours do to a bystander, and what many minutes do to it.

From results/neighbours.json and results/soak.json.
"""

from __future__ import annotations

from typing import Any

from table_text import machine_line, markdown

ATTACKS = {
    "quiet": "nothing",
    "reports": "ask for reports of {events:,} events, 16 at a time",
    "diagnostics": "ask for their diagnostics",
    "bodies": "send bodies of 4 MB that are refused",
    "decide_batches": "send batches of 10,000 decisions",
    "reward_batches": "send batches of 10,000 rewards",
    "creations": "create experiments",
    "deletions": "delete experiments",
    "exports": "read whole logs",
    "compactions": "compact a log",
    "erasures": "erase people",
    "imports": "import logs",
}


def neighbours(result: dict[str, Any]) -> str:
    """Show how long a bystander waits while others do one thing as often as they can, and what was above the limit."""
    rows = [["others", "median, ms", "p99, ms", "most, ms"]]
    missed = []
    for name, found in result["attacks"].items():
        what = ATTACKS[name].format(events=result["events"])
        rows.append([what, *(f"{found[of]:.0f}" for of in ("p50_ms", "p99_ms", "max_ms"))])
        if found["p99_ms"] > result["limit_p99_ms"]:
            missed.append(f"Others {what}: above the {result['limit_p99_ms']:.0f} ms that were to be kept.")
    return "\n\n".join([markdown(rows), *missed, machine_line(result["machine"])])


def soak(result: dict[str, Any]) -> str:
    """Show what many minutes at half of the top rate did to the service, beside the limits."""
    limits = result["limits"]
    rows = [
        ["what", "measured", "limit"],
        ["requests, at half of the top rate", f"{result['requests']:,}", ""],
        ["refused", f"{result['refused']:,}", "0"],
        ["memory after the first minute", f"{result['rss_mb_settled']:.0f} MB", ""],
        ["what it grew by", f"{result['rss_growth']:.2%}", f"{limits['growth']:.0%}"],
        ["p99, first quarter, median of minutes", f"{result['p99_ms_first_quarter']:.0f} ms", ""],
        [
            "p99, last quarter, median of minutes",
            f"{result['p99_ms_last_quarter']:.0f} ms",
            f"{limits['slower']:.1f} times that",
        ],
        [
            f"started again with {result['restart_experiments']:,} experiments",
            f"{result['restart_cpu_seconds']:.1f} s of CPU",
            f"{limits['restart_cpu_seconds']:.0f} s",
        ],
    ]
    words = f"{result['minutes']:.0f} minutes, {result['experiments']:,} experiments, "
    words += f"{result['asked_per_second']:,.0f} requests a second. "
    failed = [name.replace("_", " ") for name, holds in result["holds"].items() if not holds]
    words += f"Missed: {', '.join(failed)}." if failed else "All of it holds."
    return "\n\n".join([markdown(rows), words, machine_line(result["machine"])])
