"""What docs/client.md shows runs against a service, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest
from support.listening import Listening
from test_readme import ROOT, blocks

from onearm.client import Client

PAGE = (ROOT / "docs" / "client.md").read_text()
HOST = "http://127.0.0.1:8080"
SAID = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
PYTHON = [block.text for block in blocks(PAGE) if block.language == "python"]


def test_every_example_prints_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_is_compiled: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(PYTHON) == 7
    with Listening(tmp_path) as service:
        for code in PYTHON:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile(code.replace(HOST, service.url), "docs/client.md", "exec"), {})
            assert out.getvalue().splitlines() == SAID.findall(code), code


def test_the_options_and_methods_that_it_names_are_there() -> None:
    table = PAGE.partition("| `Client(...)` |")[2].partition("\n\n")[0]
    for name in re.findall(r"`(\w+)=", table):
        assert name in Client.__init__.__annotations__, name
    with Client() as client:
        for kind, methods in re.findall(r"^\| `(\w+)\(name\)` \| [^|]* \| (.*) \|$", PAGE, re.MULTILINE):
            handle = getattr(client, kind)("e")
            for name in re.findall(r"`(\w+)`", methods.replace("`Stream`", "")):
                assert hasattr(type(handle), name), (kind, name)
        every = PAGE.partition("All have ")[2].partition("`api/methods.py`")[0]
        for name in re.findall(r"`(\w+)`", every):
            assert hasattr(type(client.experiment("e")), name), name
