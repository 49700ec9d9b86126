"""The report as one page for a browser: it asks nothing of other sites, and works without scripts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from ..data import verdict_of
from ..evaluation import Estimate, Evaluation
from . import words
from .about import About
from .canvas import NARROW, WIDE, inlined
from .figures import pictures
from .findings import PANELS, Findings, find
from .frame import Frame
from .trust import AMBER, GREEN, LOG, NUMBERS, RED, by_state, diagnosed

HERE = Path(__file__).parent
_templates = Environment(
    loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


class BadLine(NamedTuple):
    """A kind of bad lines."""

    kind: str
    total: int
    meaning: str
    lines: str  # the numbers of the first


def page(found: Evaluation, about: About, frame: Frame) -> str:
    """Return the report of an evaluation as HTML; the same log and the same `about` give the same text."""
    shown = find(found)
    lights = diagnosed(shown)
    notes = list(dict.fromkeys(each.note for each in found.estimates if each.note))
    return _templates.get_template("template.html.j2").render(
        about=about,
        frame=frame,
        log=Markup("/<wbr>").join(escape(part) for part in about.log.split("/")),
        found=shown,
        evaluation=found,
        refuted=verdict_of(found.refuted),
        verdict=words.verdict(shown),
        pictures=_inlined(shown),
        estimates=[_line(each, notes) for each in found.estimates],
        notes=notes,
        meanings=[(name, words.METHODS[name]) for name in found.options.methods if name in words.METHODS]
        + [(name, words.INTERVALS[name]) for name in found.options.intervals if name in words.INTERVALS],
        bad_lines=_bad_lines(found),
        diagnosed=lights,
        states=by_state(lights),
        alarmed=any(light.state == RED for light in lights if light.label in (LOG, shown.rows[0].label)),
        trust_numbers=NUMBERS,
        estimate_heads=(*words.HEADS, words.MATCHED, words.SAMPLE_SIZE),
        colours={GREEN: "good", AMBER: "fair", RED: "bad"},
        shown_panels=PANELS,
        number=words.number,
        rounded=words.rounded,
        percent=words.percent,
        between=words.between_words,
        nan=math.isnan,
        heat=_heat,
    )


def _inlined(found: Findings) -> dict[str, Markup]:
    """Return each picture, as the page shows it where there is room and on a phone."""
    widths = {"wide": WIDE, "narrow": NARROW}
    return {
        name: Markup("".join(f'<div class="{size}">{inlined(name, draw, widths[size])}</div>' for size in widths))
        for name, draw in pictures(found).items()
    }


class Line(NamedTuple):
    """A row of the table of estimates: texts, with the numbers that they are sorted by."""

    label: str
    method: str
    interval: str
    numbers: list[tuple[str, float]]
    note: int | None  # its number, from 1
    mark: str  # what stands beside the label


def _line(each: Estimate, notes: list[str]) -> Line:
    numbers = [(words.number(x, each.high - each.low), x) for x in (each.value, each.low, each.high)]
    numbers += [(f"{each.matched:,}", each.matched)]
    numbers += [(words.rounded(each.effective_sample_size), each.effective_sample_size)]
    note = notes.index(each.note) + 1 if each.note else None
    return Line(each.target, each.method, each.interval, numbers, note, "" if each.usable else words.UNUSABLE)


def _heat(heat: float) -> str:
    """Return the classes of a cell that is worth more or less, by how much in twentieths.

    >>> _heat(0.5), _heat(-0.02), _heat(math.nan)
    (' more heat-10', ' less heat-0', '')
    """
    return "" if math.isnan(heat) else f" {'more' if heat >= 0 else 'less'} heat-{round(20 * abs(heat))}"


def _bad_lines(found: Evaluation) -> list[BadLine]:
    bad = found.rows.bad_lines
    return [
        BadLine(
            kind,
            count,
            bad.reasons.get(kind) or words.BAD_LINES.get(kind, kind.replace("_", " ")),
            ", ".join(f"{line:,}" for line in bad.lines[kind]) + (", ..." if count > len(bad.lines[kind]) else ""),
        )
        for kind, count in bad.count.most_common()
    ]
