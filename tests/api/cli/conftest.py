"""What the tests of the command line share: a way to run a command in this process, and a log."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.worlds import BERNOULLI

from onearm.api.cli.main import run
from onearm.engine.compiled.waiting import WAITING


class Done(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return what it printed as JSON, to the letter: no NaN, no second document."""
        return json.loads(self.out, parse_constant=_refuse)


Run = Callable[..., Done]


@pytest.fixture
def onearm(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Return what runs a command as a person would, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("ONEARM_DATABASE_URL", raising=False)
    monkeypatch.setattr(WAITING, "listener", None)  # a command says who listens; the next one is another process

    def command(*arguments: str) -> Done:
        capsys.readouterr()
        code = run(list(arguments))
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Done(code, captured.out, captured.err)

    return command


@pytest.fixture
def log(onearm: Run, tmp_path: Path) -> Path:
    """Return the export of 40 simulated decisions of a uniform policy, with their rewards: 81 lines."""
    file = tmp_path / "out.jsonl"
    arguments = ("--env", BERNOULLI, "--policy", "uniform", "--horizon", "40", "--seed", "3", "--log", str(file))
    assert onearm("simulate", *arguments).code == 0
    return file


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")
