"""Tables of what the default policies earn: from results/defaults.json."""

from __future__ import annotations

from typing import Any

from defaults_plots import shown
from table_text import machine_line, markdown, said


def defaults(result: dict[str, Any]) -> str:
    """Show what is earned in other units, when rewards come late and among many arms, and what was missed."""
    units, late, many = result["units"], result["delays"], result["many"]
    arms = {name: of for name, of in units.items() if name not in late}
    parts = [
        shown(result),
        f"Means of {result['seeds']} runs. Five normal arms, the best of .6, rewards times a plus b, 5,000 decisions:",
        _grid("earned a decision", arms),
        "Digits with contexts, the share that was right, in the same units, and under noise of Student's t, 2 degrees:",
        _grid("right", {name: of for name, of in units.items() if name in late}),
        "Digits, each reward learned so many decisions later:",
        _grid("right", late),
        "Visitors of ten countries, of whom few buy, 8,000 visits: the share of what the best articles would earn:",
        _grid("share of the best", result["shops"]),
        "So many arms, of which one pays .3 and the others less than .2, 10,000 decisions (about .1 at random); in the "
        "last row the mean of each arm is known beforehand, with an error as large as the means differ:",
        _grid("earned a decision", many),
        "300 arms in 20 hidden groups (`grouped`), rewards of 0 and 1, 20,000 decisions (.5 at random):",
        _grouped(result["grouped"]),
        "Time and memory, with contexts once every arm was played:",
        _wide(result["wide"]),
        said(result),
        machine_line(result["machine"]),
    ]
    return "\n\n".join(parts)


def _grid(head: str, found: dict[str, dict[str, float]]) -> str:
    columns = list(next(iter(found.values())))
    rows = [[head, *columns]]
    for name, of in found.items():
        rows.append([f"`{name}`", *(f"{of[column]:.3f}" for column in columns)])
    return markdown(rows)


def _grouped(found: dict[str, dict[str, float]]) -> str:
    rows = [["earned a decision", "its width", "at its best width", "at its worst"]]
    for name, of in found.items():
        best = max(of, key=lambda width: of[width])
        rows.append([f"`{name}`", best, f"{of[best]:.3f}", f"{min(of.values()):.3f}"])
    return markdown(rows)


def _wide(found: list[dict[str, Any]]) -> str:
    rows = [["a decision and its reward", "arms", "numbers of a context", "ms", "memory of the state"]]
    for one in found:
        sizes = f"{one['arms']:,}", str(one["dimension"]), f"{one['ms']:.3f}", f"{one['mb']:.1f} MB"
        rows.append([f"`{one['policy']}`", *sizes])
    return markdown(rows)
