"""The report as a browser shows it: its numbers, nothing from the network, nothing that names could smuggle in."""

from __future__ import annotations

import math
import re
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from support.needs import needed
from support.pictures import leave_empty
from support.reported import ABOUT, CANDIDATES, SCRIPT, N, evaluation, hostile_rows

from onearm.api.offline.candidate_kinds import ActionCandidate
from onearm.api.offline.evaluation import Evaluation
from onearm.api.offline.methods import of_rows
from onearm.api.offline.report.canvas import NARROW, inlined
from onearm.api.offline.report.drawing import write_report
from onearm.api.offline.report.figures import pictures
from onearm.api.offline.report.findings import find
from onearm.api.offline.report.frame import FILES, alone, served
from onearm.api.offline.report.page import page
from onearm.engine.estimate import normal

NAMES = ["ranking", "learning_curves", "intervals_over_time", "weights", "action_shares"]
PICTURE = re.compile(r'<div class="(?:wide|narrow)"><svg .*?</svg>\s*</div>', re.DOTALL)
SORTED = "<script>document.querySelectorAll('#estimates button')[3].click()</script>"  # by the estimate


@dataclass
class Dom(HTMLParser):
    """What stands in a page: tables by their ids, as rows of (text, data-value), addresses, and scripts."""

    tables: dict[str, list[list[tuple[str, str | None]]]] = field(default_factory=dict)
    addresses: list[str] = field(default_factory=list)
    handlers: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    scripts: int = 0
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._table, self._in_cell = "", False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.ids += [named["id"] or ""] if "id" in named else []
        self.scripts += tag == "script"
        if tag == "table":
            self._table = named["id"] or ""
            self.tables[self._table] = []
        elif tag == "tr":
            self.tables[self._table].append([])
        elif tag in ("td", "th"):
            self.tables[self._table][-1].append(("", named.get("data-value")))
            self._in_cell = True

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            row = self.tables[self._table][-1]
            row[-1] = (row[-1][0] + data, row[-1][1])

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._in_cell = False


@dataclass(frozen=True)
class Shown:
    """A report, and what a browser made of it."""

    found: Evaluation
    html: str
    dom: Dom
    console: list[str]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """Return a report with hostile names as a browser shows it after a click on the head of the estimates."""
    found = evaluation(hostile_rows())
    file = tmp_path_factory.mktemp("report") / "new" / "report.html"
    write_report(file, found, ABOUT)
    html = file.read_text(encoding="utf-8")
    file.write_text(html.replace("</body>", f"{SORTED}</body>"), encoding="utf-8")
    text, errors = browse(file)
    return Shown(found, html, parsed(text), [line for line in errors.splitlines() if "CONSOLE" in line])


def browse(file: Path) -> tuple[str, str]:
    """Open a file in a browser without a window; return the DOM that it made, and what it said."""
    quiet = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
    profile = f"--user-data-dir={file.parent / 'profile'}"
    asked = ("--virtual-time-budget=2000", "--enable-logging=stderr", "--dump-dom", file.as_uri())
    done = subprocess.run(
        [needed("browser"), *quiet, profile, *asked], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout, done.stderr


def parsed(text: str) -> Dom:
    dom = Dom()
    dom.feed(text)
    return dom


def value_of(text: str) -> float:
    return math.nan if text == "n/a" else float(text.replace(",", ""))


def test_every_estimate_stands_in_the_page(shown: Shown) -> None:
    head, *rows = shown.dom.tables["estimates"]
    assert [text for text, _ in head[:6]] == ["target", "method", "interval", "value", "low", "high"]
    told = {tuple(text for text, _ in row[:3]): row[3:] for row in rows}
    assert len(told) == len(rows) == len(shown.found.estimates) == len(CANDIDATES) * 4
    for each in shown.found.estimates:
        cells = told[each.target, each.method, each.interval]
        numbers = [each.value, each.low, each.high, each.matched, each.effective_sample_size]
        assert [float(full or "") for _, full in cells[:5]] == pytest.approx(numbers, rel=1e-15, nan_ok=True)
        half = (each.high - each.low) / 2  # of which two digits are shown
        close = 0.05 * half * 1.0001 if half > 0 else 1e-3
        assert [value_of(text) for text, _ in cells[:3]] == pytest.approx(numbers[:3], abs=close, nan_ok=True)
        assert value_of(cells[3][0]) == each.matched
        assert value_of(cells[4][0]) == pytest.approx(each.effective_sample_size, rel=6e-3)


def test_a_click_on_a_head_sorts_the_table(shown: Shown) -> None:
    values = [float(row[3][1] or "") for row in shown.dom.tables["estimates"][1:]]
    given = [each.value for each in shown.found.estimates]
    assert values == sorted(given, reverse=True)
    assert values != given


def test_the_browser_has_nothing_to_complain_of_and_asks_nothing_of_the_network(shown: Shown) -> None:
    assert shown.console == []
    assert {re.split("[:#]", address)[0] for address in shown.dom.addresses} == {"data", ""}
    assert re.findall("https?:", shown.html) == []


def test_the_same_log_gives_the_same_picture(shown: Shown) -> None:
    drawn = pictures(find(evaluation(hostile_rows())))
    assert list(drawn) == NAMES
    assert inlined("weights", drawn["weights"], NARROW) in shown.html


def test_the_same_log_gives_the_same_page_and_one_that_is_served_has_neither_style_nor_script_of_its_own(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_empty(monkeypatch)
    frame = served("/bandit/static/report", "/bandit/static/favicon.svg", ())
    html = page(evaluation(hostile_rows()), ABOUT, frame)
    drawn = PICTURE.findall(shown.html)
    assert len(drawn) == 2 * len(NAMES)
    for served_so in (html, *drawn):
        assert re.findall(r"<style|\sstyle=|<script(?! src=)", served_so) == []
        assert parsed(served_so).handlers == []
    assert 'href="/bandit/static/report/report.css"' in html
    assert 'src="/bandit/static/report/report.js"' in html
    own = alone()
    html = html.replace("This service made these", "Somebody&#39;s system made these")
    html = html.replace(frame.head, own.head).replace(frame.foot, own.foot)
    assert PICTURE.sub("a picture", html) == PICTURE.sub("a picture", shown.html)


def test_no_element_of_a_picture_says_an_attribute_twice(shown: Shown) -> None:
    said = [re.findall(r' ([\w-]+)="', tag) for tag in re.findall(r"<[a-z]+ [^>]*>", shown.html)]
    assert [names for names in said if len(names) != len(set(names))] == []


def test_names_from_files_stay_text(shown: Shown) -> None:
    assert parsed(shown.html).scripts == 1
    assert parsed(shown.html).handlers == []
    for told in (f"{SCRIPT}.csv", f"a note of {SCRIPT}", f"line 40: {SCRIPT}", "$x_1$ & $y$", 'b" onload="alert(2)'):
        assert told in shown.dom.text, told
    for table in ("estimates", "segments", "diagnostics"):
        assert SCRIPT in [row[0][0] for row in shown.dom.tables[table]], table


def test_ids_are_told_apart_and_every_reference_is_answered(shown: Shown) -> None:
    ids = shown.dom.ids
    assert len(ids) == len(set(ids))
    wanted = set(re.findall(r'(?:href="|url\()#([^")]+)', shown.html))
    assert wanted
    assert wanted <= set(ids)


def test_the_first_sentence_tells_the_result_and_the_order_is_that_of_the_ranking(shown: Shown) -> None:
    best = shown.found.ranking[0]
    sentence = re.search(r'class="verdict">\s*<p>(.*?)</p>', shown.html)
    assert sentence is not None
    assert sentence[1].startswith(f"{best.target} would have earned {best.value:.2f} a decision (95\u00a0% interval ")
    assert sentence[1].endswith(f"; the log earned {shown.found.log.reward.mean():.3f}.")
    heads = [text for text, _ in shown.dom.tables["segments"][0]]
    assert heads[3:] == [each.target for each in shown.found.ranking]


def test_segments_hold_the_estimates_of_their_rows(shown: Shown) -> None:
    told = {row[0][0]: row for row in shown.dom.tables["segments"][1:]}
    assert list(told) == [SCRIPT, "a & b"]  # the larger first; a segment without rows is not shown
    method = shown.found.ranking[0].method
    for place, name in enumerate((SCRIPT, "a & b")):
        some = shown.found.log.segment == place
        assert value_of(told[name][1][0]) == some.sum()
        assert float(told[name][2][1] or "") == shown.found.log.reward[some].mean()
        for cell, each in zip(told[name][3:], shown.found.ranking, strict=True):
            part = of_rows(shown.found.terms[each.target, method], some)
            assert float(cell[1] or "") == part.value
            interval = normal(part)
            ends = cell[0].removeprefix(re.match(r"-?\d+\.\d{2,3}(?=-?\d\.)", cell[0])[0]).split(" to ")  # type: ignore[index]
            assert [float(end) for end in ends] == pytest.approx([interval.low, interval.high], abs=0.006)


def test_the_colour_of_a_cell_says_how_far_it_is_from_the_log(shown: Shown) -> None:
    method = shown.found.ranking[0].method
    off = []
    for place in (0, 1):
        some = shown.found.log.segment == place
        log = shown.found.log.reward[some].mean()
        off += [of_rows(shown.found.terms[each.target, method], some).value - log for each in shown.found.ranking]
    heats = re.findall(r'heat (more|less) heat-(\d+)"', shown.html)
    assert [side for side, _ in heats] == ["more" if gap >= 0 else "less" for gap in off]
    assert [int(heat) / 20 for _, heat in heats] == pytest.approx(
        [abs(gap) / max(map(abs, off)) for gap in off], abs=0.026
    )
    style = (FILES / "report.css").read_text()
    assert [float(heat) for heat in re.findall(r"\.heat-\d+ { --heat: ([\d.]+); }", style)] == pytest.approx(
        [n / 20 for n in range(21)]
    )


def test_bad_lines_are_told_by_kind(shown: Shown) -> None:
    rows = [[text for text, _ in row] for row in shown.dom.tables["bad-lines"][1:]]
    assert [row[:2] for row in rows] == [["broken", "30"], ["bad_reward", "2"]]
    assert rows[0][3] == ", ".join(map(str, range(1, 21))) + ", ..."
    assert rows[1][2:] == [f"line 40: {SCRIPT}", "40, 50"]


def test_how_it_was_made_is_told(shown: Shown) -> None:
    for fact in (ABOUT.command, ABOUT.version, ABOUT.made, str(ABOUT.seed), f"{N} of the log's {N + 5} decisions"):
        assert fact in shown.dom.text, fact


def test_without_segments_five_parts_of_the_log_are_told_and_false_propensities_raise_an_alarm(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_empty(monkeypatch)
    log = hostile_rows(np.full(N, 0.1), segments=False)
    log.decisions = N  # of no other one anything is known: whether arms are taken too often could not be told
    found = evaluation(log)
    dom = parsed(page(found, ABOUT, alone()))
    rows = dom.tables["segments"][1:]
    starts = range(0, N, N // 5)
    assert [row[0][0] for row in rows] == [f"decisions {first + 1} to {first + N // 5}" for first in starts]
    shows = find(found)
    best = next(row.label for row in shows.rows if not row.is_log)
    parts = [of_rows(found.terms[best, shows.method], slice(first, first + N // 5)) for first in starts]
    assert [float(row[3][1] or "") for row in rows] == [part.value for part in parts]
    assert "NO: these propensities cannot be true" in dom.text
    assert re.search(r"alarm\s*: the log\s+arms are not taken as often as their propensities promise", dom.text)
    assert found.ranking == [] and "Who is best" not in dom.text
    assert "cannot be true" not in shown.dom.text and "Do not rely on it yet." not in shown.dom.text


def test_without_propensities_there_is_a_page_too(monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluation(hostile_rows(np.full(N, np.nan)), methods=("match",), intervals=("normal",))
    for name, draw in pictures(find(found)).items():
        assert inlined(name, draw, NARROW).startswith("<svg ")
    leave_empty(monkeypatch)
    dom = parsed(page(found, ABOUT, alone()))
    assert "there are no weights" in dom.text
    assert "the log does not say how likely its actions were: nothing can be checked" in dom.text
    assert "diagnostics" not in dom.tables


def test_three_candidates_make_a_page_of_less_than_300_kb(shown: Shown) -> None:
    assert len(shown.html.encode()) < 300_000


def test_three_candidates_make_a_page_of_less_than_400_kb() -> None:
    """So that twenty make one of less than 2 MB."""
    many = [ActionCandidate(f"candidate number {i}", i % 4) for i in range(3)]
    text = page(evaluation(hostile_rows(), many, methods=("ips",)), ABOUT, alone())
    assert len(text.encode()) < 400_000
    assert len(parsed(text).tables["estimates"]) == 7
