"""The report's pictures: as files and within a page."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.reported import ABOUT, SCRIPT, evaluation, hostile_rows

from onearm.api.offline.report.canvas import COLOURS, INK, NARROW, PAPER, WIDE, inlined, shortened
from onearm.api.offline.report.drawing import write_plots
from onearm.api.offline.report.figures import action_shares, learning_curves, pictures, ranking
from onearm.api.offline.report.findings import Findings, find

NAMES = ["ranking", "learning_curves", "intervals_over_time", "weights", "action_shares"]


@pytest.fixture(scope="module")
def found() -> Findings:
    return find(evaluation(hostile_rows()))


def test_every_picture_is_written_as_png_and_as_svg(tmp_path: Path) -> None:
    files = write_plots(tmp_path / "new" / "plots", evaluation(hostile_rows()), ABOUT)
    assert [file.name for file in files] == [f"{name}.{kind}" for name in NAMES for kind in ("png", "svg")]
    for file in files:
        start = b"\x89PNG" if file.suffix == ".png" else b"<?xml"
        assert file.read_bytes().startswith(start)
    assert b"<dc:date>" not in (tmp_path / "new" / "plots" / "ranking.svg").read_bytes()


def test_a_page_gives_pictures_its_own_colours_and_fonts(found: Findings) -> None:
    svg = inlined("ranking", pictures(found)["ranking"], NARROW)
    assert svg.startswith('<svg viewBox="0 0 ')
    assert [colour for colour in (INK, *COLOURS) if colour in svg] == []
    assert {"var(--ink)", "var(--muted)", "var(--c0)", "var(--c1)", "var(--c2)"} <= set(
        re.findall(r"var\(--\w+\)", svg)
    )
    assert "DejaVu" not in svg
    assert "<style" not in svg
    assert SCRIPT not in svg
    assert SCRIPT.replace("<", "&lt;").replace(">", "&gt;") in svg  # as text, which can be searched and read aloud


def test_the_two_widths_of_a_picture_share_no_id(found: Findings) -> None:
    wide, narrow = (
        re.findall(r' id="([^"]+)"', inlined("ranking", pictures(found)["ranking"], width)) for width in (WIDE, NARROW)
    )
    assert wide
    assert narrow
    assert not set(wide) & set(narrow)


def test_what_the_log_does_not_tell_is_not_drawn(found: Findings) -> None:
    rows = [replace(row, sequence=None, spread=None) for row in found.rows]
    assert list(pictures(replace(found, rows=rows))) == ["ranking", "learning_curves", "action_shares"]


def test_dots_of_candidates_that_cannot_be_the_best_are_hollow(found: Findings) -> None:
    best, rival, beaten = found.rows
    rows = [replace(best, can_be_best=True), replace(rival, can_be_best=True), replace(beaten, can_be_best=False)]
    axes = ranking(replace(found, rows=rows), WIDE).axes[0]
    faces = [line.get_markerfacecolor() for line in axes.lines if line.get_marker() == "o"]
    assert faces == [COLOURS[0], COLOURS[1], PAPER]


def test_a_candidate_without_an_interval_is_drawn_without_one(found: Findings) -> None:
    first, *others = found.rows
    axes = ranking(replace(found, rows=[replace(first, low=np.nan, high=np.nan), *others]), WIDE).axes[0]
    marks = [line.get_marker() for line in axes.lines if line.get_marker() not in ("None", None)]
    assert marks == ["x"] + ["o"] * len(others)


def test_an_interval_much_wider_than_the_others_does_not_hide_them(found: Findings) -> None:
    first, *others = found.rows
    axes = ranking(replace(found, rows=[replace(first, low=-50.0, high=50.0), *others]), WIDE).axes[0]
    low, high = axes.get_xlim()
    assert high - low < 2.0
    assert [line.get_marker() for line in axes.lines].count("<") == 1  # an arrow says that it goes on
    assert low < min(row.low for row in others)


def test_names_that_are_hard_to_draw_are_drawn(found: Findings) -> None:
    names = ["_private", "\u5546\u54c1", "a\x00\x1bb", "x" * 200]  # not shown in legends; not in the font; not in XML
    rows = [replace(found.rows[0], label=name) for name in names]
    hard = replace(found, rows=rows, share_names=names, shares=np.full((5, 4), 0.25))
    for name, draw in (("learning_curves", learning_curves), ("action_shares", action_shares)):
        svg = inlined(name, lambda width, draw=draw: draw(hard, width), NARROW)
        assert "_private" in svg
        assert "\u5546\u54c1" in svg
        assert re.search("[\x00-\x08\x0e-\x1f]", svg) is None
        assert "x" * 50 not in svg


@pytest.mark.parametrize(
    ("text", "count", "short"),
    [("ucb1", 4, "ucb1"), ("ucb12", 4, "uc…2"), ("a\nb", 9, "a b"), ("squarecb(gamma=31.6)", 12, "square…31.6)")],
)
def test_long_labels_lose_their_middle(text: str, count: int, short: str) -> None:
    assert shortened(text, count) == short
    assert len(short) <= count
