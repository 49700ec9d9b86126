"""What docs/streams.md shows runs, and prints what it says."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from typing import Any

import golden
import pytest
from test_readme import ROOT, blocks, commands, wrong

from onearm.api.cli.main import run

PAGE = ROOT / "docs" / "streams.md"
BLOCKS = blocks(PAGE.read_text())
SAID = re.compile(r"^print\(.*\)  # ([^:]+?)(?::.*)?$", re.MULTILINE)


def test_every_block_is_one_that_is_run() -> None:
    assert [wrong(block) for block in BLOCKS if wrong(block)] == []
    assert all(block.mark is None for block in BLOCKS)


@pytest.mark.slow
def test_the_python_of_the_page_prints_what_it_says() -> None:
    namespace: dict[str, Any] = {"__name__": "streaming"}
    said = []
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for block in (block for block in BLOCKS if block.language == "python"):
            said += SAID.findall(block.text)
            exec(compile("\n" * block.line + block.text, str(PAGE), "exec"), namespace)
    lines = printed.getvalue().splitlines()
    assert [line for line in lines if line in said] == said and len(said) >= 6
    assert "62 %" in printed.getvalue()  # the plan that warns


@pytest.mark.slow
def test_the_commands_of_the_page_run(capsys: pytest.CaptureFixture[str]) -> None:
    shown = [command for block in BLOCKS if block.language == "console" for command in commands(block)]
    assert shown
    for command in shown:
        assert run(shlex.split(command)[1:]) == 0, capsys.readouterr().err


def test_all_rules_are_in_the_table() -> None:
    rules = golden.names("move")
    table = PAGE.read_text().partition("## Which rule")[2]
    assert [name for name in rules if f"| `{name}` |" not in table] == [] and len(rules) >= 7


def test_links_of_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGE.read_text())
    assert links and [link for link in links if not (PAGE.parent / link).exists()] == []
