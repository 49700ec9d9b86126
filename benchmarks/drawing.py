"""What all plots of the scripts share: matplotlib where it is installed, the same bytes for the same figures."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Told apart by those who see no red or green; what nobody has to know anything for is dark.
DARK, BLUE, GREEN, OLIVE, ORANGE, PURPLE, GREY = (
    "#1B1B1B",
    "#0072B2",
    "#009E73",
    "#8A7A00",
    "#D55E00",
    "#AA4499",
    "#8C8C8C",
)
CLIP_PATH = re.compile(r"\bp[0-9a-f]{10}\b")
TEXT = "#7D8590"  # of plots without a background, which stand on white and on the dark of a page at night


def draw_all(figures: dict[str, Callable[[], Any]], folder: Path) -> list[str]:
    """Draw figures by their file names into a folder, and return the files; none, said loudly, without matplotlib."""
    try:
        matplotlib = importlib.import_module("matplotlib")
    except ImportError:
        print("!!! matplotlib is not installed: the plots are MISSING from this run", file=sys.stderr)
        return []
    matplotlib.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever was set before: the same figures give the same bytes
        matplotlib.rcParams["svg.hashsalt"] = "onearm"
        matplotlib.rcParams["axes.spines.top"] = matplotlib.rcParams["axes.spines.right"] = False
        for name, make in figures.items():
            figure = make()
            figure.savefig(folder / name, metadata={"Date": None})
            importlib.import_module("matplotlib.pyplot").close(figure)
            number_clip_paths(folder / name)
            files.append(folder / name)
    return [str(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file) for file in files]


def number_clip_paths(file: Path) -> None:
    """Name the clip paths of a drawing by their order: matplotlib hashes last bits, in which processors differ.

    >>> CLIP_PATH.findall('<clipPath id="pfc7accc9f4">  clip-path="url(#pfc7accc9f4)"')
    ['pfc7accc9f4', 'pfc7accc9f4']
    """
    text = file.read_text(encoding="utf-8")
    for i, name in enumerate(dict.fromkeys(CLIP_PATH.findall(text))):
        text = text.replace(name, f"p{i}")
    file.write_text(text, encoding="utf-8")


def grid(rows: int, columns: int, width: float, height: float, **shape: Any) -> tuple[Any, Any]:
    pyplot = importlib.import_module("matplotlib.pyplot")
    size = {"figsize": (width * columns, height * rows), "layout": "constrained", "squeeze": False}
    return pyplot.subplots(rows, columns, **size, **shape)


def see_through(figure: Any) -> None:
    """Take a figure's background away, and give its axes and what is written at them a colour for day and night."""
    figure.patch.set_alpha(0.0)
    for axes in figure.axes:
        axes.patch.set_alpha(0.0)
        axes.tick_params(colors=TEXT, which="both")
        axes.spines[["left", "bottom"]].set_color(TEXT)
        for text in (axes.xaxis.label, axes.yaxis.label):
            text.set_color(TEXT)


def apart(places: list[float], step: float, high: float) -> list[float]:
    """Return rising places moved up, and below `high` down, until neighbours are a step apart."""
    found: list[float] = []
    for place in places:
        found.append(max(place, found[-1] + step) if found else place)
    for i in range(len(found) - 1, -1, -1):
        found[i] = min(found[i], high - step * (len(found) - 1 - i))
    return found
