"""What all pictures of the report share: sizes, colours, and how they get into files and into a page.

Figures are printed by canvases: `savefig` would draw each twice, as it has a layout, and once to no end.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

WIDE, NARROW = 9.5, 3.7  # inches
INK, PAPER, LINE, MUTED = "#12343b", "#fbfaf7", "#d8d4c8", "#6b7f80"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # of Okabe and Ito
Draw = Callable[[float], Figure]  # what draws a picture in a width

# Names of the page's colours, which the dark mode changes; a picture of its own keeps the light ones.
_VARIABLES = {INK: "ink", PAPER: "paper", LINE: "line", MUTED: "muted"} | {
    colour: f"c{i}" for i, colour in enumerate(COLOURS)
}


def saved(folder: Path, pictures: dict[str, Draw], title: str) -> list[Path]:
    """Write every picture into a folder, as PNG and as SVG, and return the files; the same log gives the same bytes."""
    files = []
    for name, draw in pictures.items():
        png, svg = folder / f"{name}.png", folder / f"{name}.svg"
        with _style():
            figure = draw(WIDE)
            figure.set(dpi=160, facecolor=PAPER)
            raster: Any = FigureCanvasAgg(figure)
            raster.print_png(png)
            _print_svg(figure, svg, {"Date": None, "Title": f"{title}: {name}"})
        files += [png, svg]
    return files


def inlined(name: str, draw: Draw, width: float) -> str:
    """Return a picture as an element of a page: with the page's fonts and colours, and identifiers of its own."""
    with _style(), matplotlib.rc_context({"svg.fonttype": "none"}):
        text, figure = io.StringIO(), draw(width)
        figure.patch.set_visible(False)  # the page shines through
        _print_svg(figure, text, dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert size is not None
    body = svg[svg.index(">") + 1 :]
    body = re.sub(r"<(metadata|style).*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->\s*", "", body, flags=re.DOTALL)
    prefix = f"{name}-{'w' if width == WIDE else 'n'}-"
    used = set(re.findall(r"(?:href=\"|url\()#([\w-]+)", body))
    body = re.sub(r' id="([\w.-]+)"', lambda match: f' id="{prefix}{match[1]}"' if match[1] in used else "", body)
    body = re.sub(r'xlink:href="#', f'href="#{prefix}', body).replace("url(#", f"url(#{prefix}")
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "inherit", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var(--{variable})")
    body = re.sub(r' style="([^"]*)"', lambda match: "".join(map(_attribute, match[1].split(";"))), body)
    points = f'viewBox="0 0 {size[1]} {size[2]}" width="{float(size[1]) * 4 / 3:.0f}"'
    return f"<svg {points}>" + re.sub(r"\n\s*", "\n", body)


def _print_svg(figure: Figure, to: Path | io.StringIO, metadata: dict[str, Any]) -> None:
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(to, metadata=metadata)


def _attribute(said: str) -> str:
    """Return a declaration of a style as an attribute: a page that is served may have no style of its own.

    >>> _attribute(" stroke: #0072b2")
    ' stroke="#0072b2"'
    """
    name, _, value = said.partition(":")
    return f' {name.strip()}="{value.strip()}"' if value else ""


@contextmanager
def _style() -> Iterator[None]:
    settings: Any = {
        "svg.hashsalt": "onearm",  # the same figures give the same bytes
        "font.size": 9.5,
        "axes.titlesize": "medium",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "axes.edgecolor": MUTED,
        "axes.axisbelow": True,
        "text.parse_math": False,  # a label may hold dollar signs
        "axes.unicode_minus": False,
        "path.simplify_threshold": 0.3,
    } | dict.fromkeys(("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"), INK)
    settings |= dict.fromkeys(("xtick.color", "ytick.color"), MUTED)
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a browser has the letters that this font lacks
        yield


def shortened(text: str, count: int) -> str:
    """Return a text of at most so many letters, on one line, without its middle where it is longer.

    >>> shortened("squarecb(gamma=31.6)", 11)
    'squar…31.6)'
    """
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    half = (count - 1) // 2
    return text if len(text) <= count else f"{text[: count - 1 - half]}…{text[-half:]}"


def panels(count: int, width: float, height: float, *, sharey: bool) -> tuple[Figure, list[Axes]]:
    """Return a figure with so many panels with one horizontal scale: two beside each other where there is room."""
    columns = min(count, 1 if width < WIDE else 2)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(width, 0.5 + height * rows), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=sharey, squeeze=False)
    for axes in grid.flat[count:]:
        axes.set_visible(False)
    for axes in grid.flat[max(count - columns, 0) : count]:
        axes.tick_params(labelbottom=True)
    return figure, list(grid.flat[:count])


def remark(axes: Axes, text: str, side: float) -> None:
    """Write into an upper corner, the left one (0) or the right one (1)."""
    box = {"facecolor": PAPER, "alpha": 0.75, "lw": 0, "pad": 1.5}
    axes.annotate(
        text, (side, 1), (4 - 8 * side, -3), "axes fraction", textcoords="offset points",
        ha="right" if side else "left", va="top", color=INK, fontsize="small", bbox=box,
    )  # fmt: skip


def padded(values: Any, by: float = 0.06) -> tuple[float, float]:
    """Return limits that leave some room around values, NaN left out."""
    values = values[np.isfinite(values)]
    low, high = float(values.min()), float(values.max())
    room = by * (high - low) or 0.1 * abs(high) or 0.1
    return low - room, high + room


def legend(figure: Figure, handles: list[Any], labels: list[str], *, narrow: bool) -> None:
    """Write the legend under the axes, and make the figure higher for it."""
    longest = max(map(len, labels))
    columns = max(1, min(len(labels), (46 if narrow else 118) // (longest + 6)))
    figure.set_figheight(figure.get_figheight() + 0.18 * math.ceil(len(labels) / columns))
    # A label that begins with _ would not be shown.
    shown = [f"\u200b{label}" if label.startswith("_") else label for label in labels]
    figure.legend(handles, shown, loc="outside lower left", ncols=columns, frameon=False, fontsize="small")
