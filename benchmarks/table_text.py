"""What all tables are made of: Markdown, numbers with their errors, and where they were measured."""

from __future__ import annotations

from typing import Any


def markdown(rows: list[list[str]]) -> str:
    """Return rows as a Markdown table; the first is the head, numbers stand right."""
    head, *body = rows
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))


def plus_minus(mean: float, error: float) -> str:
    """Return a mean and its standard error, where that would be seen."""
    return f"{mean:.3g}" + (f" ± {error:.1g}" if error >= 0.0005 * abs(mean) else "")


def machine_line(machine: dict[str, Any]) -> str:
    """Say where and when a table was measured."""
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "numpy", "numba"))
    where = f"{machine['cpu']}, {machine['cores']} cores, {versions}"
    return f"Measured on {machine['date']} at {machine['commit']}: {where}."


def said(result: dict[str, Any]) -> str:
    """Say how many claims hold, and name each that does not."""
    missed = []
    for each in result["claims"]:
        if not each["holds"]:
            value = "no number" if each["value"] is None else f"{each['value']:.3g}"
            asked = f"at least {each['low']:g}" if each["high"] is None else f"at most {each['high']:g}"
            missed.append(f"{each['claim']}: {value}, where {asked} was asked")
    words = f"Of {len(result['claims'])} figures that were to be reached {len(result['claims']) - len(missed)} are."
    return "\n- ".join([words + (" Missed:\n" if missed else ""), *missed])


def drawn(result: dict[str, Any]) -> list[str]:
    """Return the plots of a result, as a page in docs/ shows them."""
    return [
        f"![{plot.rpartition('/')[2].removesuffix('.svg').replace('_', ' ')}](../{plot})" for plot in result["plots"]
    ]
