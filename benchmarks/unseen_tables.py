"""The table of results/unseen.json: the default on tables that were named beforehand, beside Vowpal Wabbit tuned."""

from __future__ import annotations

from typing import Any

from table_text import machine_line, markdown

OURS = ("default", "fourier_softmax", "fourier_ucb", "linucb")


def unseen(result: dict[str, Any]) -> str:
    """Show the share of wrong choices in one pass, and by how many standard errors the default is ahead."""
    named = [name for name in result["sets"] if name in result["named"]]
    further = [name for name in result["sets"] if name not in result["named"]]
    heads = ["share of wrong choices in one pass", "rows, features, classes", *(f"`{name}`" for name in OURS)]
    rows = [[*heads, "Vowpal Wabbit, tuned", "the default is ahead by"]]
    for name in [*named, *further]:
        found, shape = result["sets"][name], result["shapes"][name]
        wrong = [f"{1.0 - found[policy][0]:.4f} ± {found[policy][1]:.4f}" for policy in (*OURS, "vw_best")]
        ahead, errors = result["margin"][name]
        size = f"{shape['rows']:,}, {shape['features']}, {shape['classes']}"
        label = f"{name}, named beforehand" if name in named else name
        rows.append([label, size, *wrong, f"{ahead:+.4f} ({errors:+.1f} standard errors)"])
    flags = "; ".join(f"{name}: `{result['sets'][name]['vw_best'][2]}`" for name in [*named, *further])
    told = f"Means of {result['shuffles']} shuffles with their standard errors. Vowpal Wabbit's best is, for {flags}."
    return "\n\n".join([markdown(rows), told, machine_line(result["machine"])])
