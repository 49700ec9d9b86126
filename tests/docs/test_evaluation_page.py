"""What docs/evaluation.md shows runs, and it names every method, interval and way of learning."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from pathlib import Path

import pytest
from test_readme import ROOT, blocks, commands, wrong

from onearm.api.cli.main import run
from onearm.api.offline.options import INTERVALS, LIST_METHODS, METHODS
from onearm.engine.replay.matching import LEARNING

PAGE = ROOT / "docs" / "evaluation.md"
TEXT = PAGE.read_text()
BLOCKS = blocks(TEXT)


def test_every_block_is_run_or_says_why_not() -> None:
    assert [wrong(block) for block in BLOCKS if wrong(block)] == []


def test_the_page_has_every_word_of_the_commands() -> None:
    known = set(re.findall(r"`([\w-]+)`", TEXT))
    assert {*METHODS, *LIST_METHODS, *INTERVALS, *LEARNING} <= known


def test_its_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    shown = [
        command for block in BLOCKS if block.language == "console" and not block.mark for command in commands(block)
    ]
    assert len(shown) >= 3
    for command in shown:
        assert run(shlex.split(command.replace("--horizon 5000", "--horizon 100"))[1:]) == 0, capsys.readouterr().err


def test_its_python_runs() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in BLOCKS:
            if block.language == "python":
                exec(compile("\n" * block.line + block.text, str(PAGE), "exec"), {"__name__": "page"})
    wider, value, interval, over_time, warnings = printed.getvalue().splitlines()
    low, high = map(float, interval.split())
    assert low < float(value.split()[0]) < high and warnings == "[]"
    assert over_time.startswith("[") and wider == "True"


def test_links_of_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)", TEXT)
    assert links and all((PAGE.parent / link).exists() for link in links)
