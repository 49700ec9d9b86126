"""docs/table-to-service.md runs from its first line to a decision and a reward, with the service as a process."""

from __future__ import annotations

import json
import re
import shlex
import signal
from pathlib import Path

import httpx
import pytest
from support.processes import Process
from test_readme import CALL, ROOT, blocks, commands, wrong

from onearm.api.cli.main import run

PAGE = ROOT / "docs" / "table-to-service.md"
BLOCKS = blocks(PAGE.read_text())


def test_every_block_is_run_or_says_why_not() -> None:
    assert [wrong(block) for block in BLOCKS if wrong(block)] == []


@pytest.mark.usefixtures("nothing_is_compiled")
def test_from_the_table_to_a_decision_and_a_reward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (table,) = (block for block in BLOCKS if block.language == "python")
    exec(compile(table.text, str(PAGE), "exec"), {"__name__": "page"})
    for block in BLOCKS:
        for command in commands(block) if block.language == "bash" and block.mark is None else []:
            assert run(shlex.split(command)[1:]) == 0, f"{command}\n{capsys.readouterr().err}"
    said = capsys.readouterr().out
    serve, curl = (line.strip() for line in said.splitlines()[-2:])
    assert serve in PAGE.read_text(), "the page shows the command that was printed"
    calls = CALL.findall(PAGE.read_text())
    assert len(calls) == 2
    service = Process(shlex.split(serve)[-1])
    try:
        service.wait()
        address = f"http://127.0.0.1:{service.port}"
        for body, path, shown in calls:
            assert httpx.post(address + path, content=body, timeout=60).json() == json.loads(shown)
        *_, sent, url = shlex.split(curl)
        made = httpx.post(re.sub("http://[^/]+", address, url), content=sent, timeout=60)
        assert made.status_code == 201 and json.loads(sent)["context"].keys() == {"country", "age"}
    finally:
        service.stop(signal.SIGTERM)
    assert run(["verify", "--database", "sqlite:///shop.db"]) == 0
