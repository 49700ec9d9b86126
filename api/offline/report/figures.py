"""The report's pictures. Each is drawn in two widths: for a page, and for a phone."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from .canvas import (
    COLOURS,
    INK,
    LINE,
    MUTED,
    PAPER,
    WIDE,
    Draw,
    legend,
    padded,
    panels,
    remark,
    shortened,
)
from .curves import Curve
from .findings import PANELS, Findings, Row
from .words import SAMPLE_SIZE, UNUSABLE, between_words, number, rounded

DASHES = ("-", "--", "-.", (0, (1, 1.2)))
BANDS = 3  # candidates that all have a band; of more only the best
LINES = 8  # candidates with a colour and a name; the rest are drawn thin


def pictures(found: Findings) -> dict[str, Draw]:
    """Return what draws each picture in a width, by its name; without those for which the log says nothing."""
    drawn = {
        "ranking": lambda width: ranking(found, width),
        "learning_curves": lambda width: learning_curves(found, width),
    }
    if any(row.sequence is not None for row in found.rows):
        drawn["intervals_over_time"] = lambda width: intervals_over_time(found, width)
    if any(row.spread is not None for row in found.rows):
        drawn["weights"] = lambda width: weights(found, width)
    drawn["action_shares"] = lambda width: action_shares(found, width)
    return drawn


def ranking(found: Findings, width: float) -> Figure:
    """Draw simultaneous intervals, the best candidate on top, and the log's own value as a line."""
    rows, narrow = found.rows, width < WIDE
    step = 0.46 if narrow else 0.33
    figure = Figure(figsize=(width, 1.0 + step * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    low, high = _window(found)
    axes.axvspan(*found.log_interval, color=MUTED, alpha=0.15, lw=0)
    axes.axvline(found.log_value, color=MUTED, ls="--", lw=1.3)
    for place, row in enumerate(rows):
        colour = _colour(place)
        if math.isfinite(row.low):
            ends = max(row.low, low), min(row.high, high)
            axes.plot(ends, (place, place), color=colour, lw=2.6, solid_capstyle="butt")
            for beyond, end, mark in ((row.low < low, low, "<"), (row.high > high, high, ">")):
                if beyond:
                    axes.plot(end, place, mark, color=colour, ms=6, clip_on=False)
            axes.plot(row.value, place, "o", ms=7, mfc=colour if row.can_be_best else PAPER, mec=colour, mew=1.8)
        else:
            axes.plot(row.value, place, "x", ms=6, color=MUTED, mew=1.8)
        text = number(row.value, row.high - row.low)
        label = f"{shortened(_name(row), 34)}  {text}" if narrow else text
        at, off = ((0, place), (0, 7)) if narrow else ((1, place), (8, 0))
        up = "baseline" if narrow else "center"
        box = {"facecolor": PAPER, "alpha": 0.7 if narrow else 0.0, "lw": 0, "pad": 0.5}
        axes.annotate(label, at, off, ("axes fraction", "data"), textcoords="offset points", va=up, bbox=box)
    axes.set_yticks(range(len(rows)), [] if narrow else [shortened(_name(row), 40) for row in rows])
    axes.set(xlim=(low, high), ylim=(len(rows) - 0.4, -0.8 if narrow else -0.6), xlabel="reward per decision")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=LINE, lw=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 8))
    earned = number(found.log_value, _width(found.log_interval))
    axes.set_title(f"dashed: the log earned {earned}, with its interval", color=MUTED)
    return figure


def _name(row: Row) -> str:
    """Return a candidate's label, behind a mark where its value is not to be used."""
    return row.label if row.usable else f"{UNUSABLE}: {row.label}"


def learning_curves(found: Findings, width: float) -> Figure:
    """Draw each candidate's estimate as the log went on, and the best one's interval."""
    narrow = width < WIDE
    figure = Figure(figsize=(width, 2.6 if narrow else 3.5), layout="constrained")
    axes = figure.add_subplot()
    log = found.log_curve
    handles = axes.plot(log.at, log.value, color=MUTED, ls="--", lw=1.3, zorder=3)
    labels = ["the log"]
    settled = log.at >= log.at[-1] / 4
    seen = [log.value[settled]]
    for place, row in reversed(list(enumerate(found.rows))):
        curve = row.curve
        if place >= LINES:
            axes.plot(curve.at, curve.value, color=LINE, lw=0.9, zorder=1)
            continue
        dash, colour = DASHES[place // len(COLOURS)], _colour(place)
        handles += axes.plot(curve.at, curve.value, color=colour, ls=dash, lw=1.8, zorder=4)
        labels.append(shortened(row.label, 34))
        for change in row.changes:
            axes.axvline(change, color=colour, ls=":", lw=1.1, zorder=2)
        seen.append(curve.value[settled])
        if place == 0 or len(found.rows) <= BANDS:
            axes.fill_between(curve.at, curve.low, curve.high, color=colour, alpha=0.13, lw=0)
            seen += [curve.low[-1:], curve.high[-1:]]
    axes.set_ylim(padded(np.concatenate(seen)))
    axes.set(xlim=(0, log.at[-1]), xlabel="decisions of the log", ylabel="reward per decision so far")
    if any(row.changes for row in found.rows[:LINES]):
        axes.set_title("dotted: another world since then, as a policy found", color=MUTED)
    _decisions(axes, narrow)
    axes.grid(axis="y", color=LINE, lw=0.6)
    legend(figure, handles[::-1], labels[::-1], narrow=narrow)  # the best first, the log last
    return figure


def intervals_over_time(found: Findings, width: float) -> Figure:
    """Draw intervals that hold at every look, a panel for each of the best candidates."""
    drawn = [(place, row.label, row.sequence) for place, row in enumerate(found.rows) if row.sequence is not None]
    figure, axes_of = panels(len(drawn), width, 2.0, sharey=True)
    limits = _last_limits([curve for _, _, curve in drawn], found.log_value)
    for axes, (place, label, curve) in zip(axes_of, drawn, strict=True):
        colour = _colour(place)
        axes.axhline(found.log_value, color=MUTED, ls="--", lw=1.1)
        axes.fill_between(curve.at, curve.low, curve.high, color=colour, alpha=0.22, lw=0)
        axes.plot(curve.at, curve.low, color=colour, lw=1.0)
        axes.plot(curve.at, curve.high, color=colour, lw=1.0)
        axes.plot(curve.at, curve.value, color=colour, lw=1.8)
        axes.set(xscale="log", xlim=(curve.at[0], curve.at[-1]), ylim=limits)
        axes.set_title(shortened(label, 36))
        remark(axes, f"at the end {between_words(curve.low[-1], curve.high[-1])}", 1)
        axes.xaxis.set_major_locator(LogLocator(numticks=6))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        axes.grid(axis="y", color=LINE, lw=0.6)
        axes.yaxis.set_major_locator(MaxNLocator(4))
    figure.supxlabel("decisions of the log, log scale", fontsize="medium")
    figure.supylabel("reward per decision", fontsize="medium")
    return figure


def weights(found: Findings, width: float) -> Figure:
    """Draw how much single decisions count, a panel for each of the best candidates."""
    drawn = [(place, row.label, row.spread) for place, row in enumerate(found.rows) if row.spread is not None][:PANELS]
    figure, axes_of = panels(len(drawn), width, 1.75, sharey=False)
    for axes, (place, label, spread) in zip(axes_of, drawn, strict=True):
        axes.stairs(spread.share, spread.edges, fill=True, color=_colour(place), alpha=0.85)
        axes.axvline(1.0, color=MUTED, lw=1.0, ls="--")
        axes.set(xscale="log", xlim=(spread.edges[0], spread.edges[-1]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{100 * y:g} %" if y <= 1.0 else ""))
        axes.yaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(shortened(label, 36))
        facts = [f"{SAMPLE_SIZE} {rounded(spread.effective_sample_size)}", f"largest weight {rounded(spread.largest)}"]
        facts += [f"{spread.zeros:.0%} count nothing"] if spread.zeros > 0.0 else []
        axes.set_ylim(0.0, (1.35 if len(facts) > 2 else 1.2) * max(float(spread.share.max()), 1e-9))
        remark(axes, "\n".join(facts), 0 if 2 * int(spread.share.argmax()) > len(spread.share) else 1)
    figure.supxlabel("weight of a decision", fontsize="medium")
    figure.supylabel("share of decisions", fontsize="medium")
    return figure


def action_shares(found: Findings, width: float) -> Figure:
    """Draw how often each action is taken, by the log and by each candidate."""
    narrow = width < WIDE
    labels = ["the log", *(row.label for row in found.rows)]
    figure = Figure(figsize=(width, 0.8 + (0.5 if narrow else 0.34) * len(labels)), layout="constrained")
    axes = figure.add_subplot()
    left = np.zeros(len(labels))
    handles = []
    height = 0.46 if narrow else 0.72
    for i, share in enumerate(found.shares.T):
        others = i >= len(COLOURS)
        colour = LINE if others else COLOURS[i]
        handles.append(axes.barh(range(len(labels)), share, left=left, height=height, color=colour, ec=PAPER, lw=0.7))
        for place, part in enumerate(share):
            if part >= (0.13 if narrow else 0.06):
                ink = INK if others else "#111111"
                middle = left[place] + part / 2
                axes.text(middle, place, f"{part:.0%}", ha="center", va="center", color=ink, fontsize="small")
        left = left + share
    if narrow:
        for place, label in enumerate(labels):
            axes.annotate(shortened(label, 40), (0, place), xytext=(0, 12), textcoords="offset points", va="bottom")
    axes.set_yticks(range(len(labels)), [] if narrow else [shortened(label, 40) for label in labels])
    axes.set(xlim=(0, 1), ylim=(len(labels) - 0.45, -0.85 if narrow else -0.55))
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.xaxis.set_visible(False)
    legend(figure, handles, [shortened(name, 34) for name in found.share_names], narrow=narrow)
    return figure


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _window(found: Findings) -> tuple[float, float]:
    """Return the limits that show all values, and all intervals but those much wider than the others."""
    half = np.array([(row.high - row.low) / 2 for row in found.rows if math.isfinite(row.low)])
    usual = 4.0 * float(np.median(half)) if len(half) else math.inf
    ends = [row.value for row in found.rows if math.isfinite(row.value)] + [found.log_value, *found.log_interval]
    for row in found.rows:
        if math.isfinite(row.low):
            ends += [max(row.low, row.value - usual), min(row.high, row.value + usual)]
    return padded(np.array(ends))


def _last_limits(curves: list[Curve], log_value: float) -> tuple[float, float]:
    """Return limits that show the usual interval at the end, and of wider ones as much again on each side."""
    lows, highs = [curve.low[-1] for curve in curves], [curve.high[-1] for curve in curves]
    low, high = min(float(np.median(lows)), log_value), max(float(np.median(highs)), log_value)
    room = high - low or 0.1
    least, most = min(curve.low.min() for curve in curves), max(curve.high.max() for curve in curves)
    return padded(np.array([max(low - room, least), min(high + room, most)]), by=0.03)


def _width(interval: tuple[float, float]) -> float:
    return interval[1] - interval[0]


def _decisions(axes: Axes, narrow: bool) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(3 if narrow else 6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.yaxis.set_major_locator(MaxNLocator(5))
