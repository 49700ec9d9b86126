"""Tables in terminals of any width: every column of a table is there, or it is said which are not."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from onearm.api.terminal import print_table

HEADS = ["target", "method", "value", "low", "high", "effective\nsample size"]
ROWS = [
    ['epsilon_greedy:{"epsilon": 0.5}', "match", 0.0034722, -0.0033214, 0.010266, 288],
    ["thompson_beta", "self-normalised-dr", 0.0045054, None, 0.0059786, 7247.2],
]
CELLS = {"0.0034722", "-0.0033214", "0.010266", "288", "0.0045054", "0.0059786", "7247.2"}
WORDS = {"thompson_beta", "self-normalised-dr", "match", "target", "method", "value", "low", "high", "effective"}


@pytest.mark.parametrize("width", range(48, 130, 4))
def test_no_cell_is_cut_or_lost(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onearm.api.terminal.console", Console(width=width))
    print_table("what policies would have earned", HEADS, ROWS, "95 % intervals")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width and "…" not in out
    assert set(out.split()) >= CELLS | WORDS
    assert all(part in out for part in ("epsilon_greedy", "0.5}", "95 % intervals", "what policies would"))


def test_a_narrow_terminal_gets_a_row_below_the_other(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onearm.api.terminal.console", Console(width=60))
    print_table("a title", HEADS, ROWS, spare=("low",))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    values = {line[0]: line[-1] for line in lines if len(line) > 1}
    assert values["method"] == "self-normalised-dr" and values["high"] == "0.0059786" and values["low"] == "-"
    assert ["effective", "sample", "size", "288"] in lines


def test_what_is_left_out_is_said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for width, said in ((200, []), (100, ["effective sample size"]), (88, ["effective sample size, high"])):
        monkeypatch.setattr("onearm.api.terminal.console", Console(width=width))
        print_table("a title", HEADS, ROWS, "a note", spare=(HEADS[-1], "high"))
        out = " ".join(capsys.readouterr().out.split())
        assert re.findall(r"a note left out, as the terminal is narrow: (.*)", out) == said


@pytest.mark.parametrize("width", range(56, 110, 3))
def test_long_texts_go_on_below(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two columns of text, one with long words: neither is narrower than its longest word, nor the table too wide."""
    monkeypatch.setattr("onearm.api.terminal.console", Console(width=width))
    params, does = "regularisation_of_the_model=0.1\nmodels=8", "plays the arm whose mean may be highest of all arms"
    print_table("policies", ["name", "params", "what it does"], [["ucb1", params, does]])
    out = capsys.readouterr().out
    assert set(out.split()) >= {*params.split(), *does.split(), "ucb1", "name", "params"} and "…" not in out
    assert max(map(len, out.splitlines())) <= width
    assert any(line.split()[:2] == ["name", "params"] for line in out.splitlines())
