"""A curve of rewards in a terminal, in blocks of text."""

from __future__ import annotations

from collections.abc import Sequence

COLUMNS = 64
ROWS = 8
BLOCKS = " ▁▂▃▄▅▆▇█"


def means_of(values: Sequence[float], columns: int = COLUMNS) -> list[float]:
    """Return the means of so many parts of values, about equally long; of few values themselves.

    >>> means_of([0.0, 1.0, 1.0, 1.0, 0.0], columns=2)
    [0.6666666666666666, 0.5]
    """
    parts = min(columns, len(values))
    size, longer = divmod(len(values), max(parts, 1))
    means, at = [], 0
    for part in range(parts):
        end = at + size + (part < longer)
        means.append(sum(values[at:end]) / (end - at))
        at = end
    return means


def curve(means: Sequence[float], rows: int = ROWS) -> str:
    """Return a column of blocks for each mean, between 0, or the least, and the largest, which stand beside it.

    >>> print(curve([0.0, 0.25, 0.5, 1.0], rows=2))
      1.000    █
      0.000  ▄██
    """
    if not means:
        return "\n" * (rows - 1)
    low, high = min(0.0, *means), max(1e-9, *means)
    heights = [(value - low) / (high - low) * rows for value in means]
    lines = []
    for row in range(rows - 1, -1, -1):
        cells = "".join(BLOCKS[int(8 * min(1.0, max(0.0, height - row)))] for height in heights)
        label = f"{high:7.3f} " if row == rows - 1 else f"{low:7.3f} " if row == 0 else " " * 8
        lines.append(label + cells)
    return "\n".join(lines)


def sparkline(means: Sequence[float]) -> str:
    """Return a line of one row.

    >>> sparkline([0.0, 0.5, 1.0])
    ' ▄█'
    """
    if not means:
        return ""
    low, high = min(0.0, *means), max(1e-9, *means)
    return "".join(BLOCKS[int(8 * (value - low) / (high - low))] for value in means)
