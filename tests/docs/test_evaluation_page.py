"""What docs/evaluation.md shows runs, and it names every method, interval and way of learning."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from pathlib import Path

import pytest
from support.stored import new_database
from test_readme import ROOT, blocks, commands, wrong

from onearm.api.cli.main import run
from onearm.api.experiment.spec import Spec
from onearm.api.offline.options import INTERVALS, LIST_METHODS, METHODS
from onearm.engine.replay.matching import LEARNING
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN

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


def test_its_commands_on_a_service_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    days_of_a_shop(new_database(tmp_path / "onearm.db"))
    evaluate, replay = (shlex.split(line)[1:] for block in BLOCKS for line in commands(block) if "sqlite:" in line)
    for command, events in ((evaluate, 24), (replay, 13)):
        assert run([*command, "--json"]) == 0, capsys.readouterr().err
        assert json.loads(capsys.readouterr().out)["events"] == events


def days_of_a_shop(url: str) -> None:
    """Log a decision an hour, each with a reward, from the beginning of 30 January 2026 to that of 1 February."""
    arms = [{"id": "gift"}, {"id": "sale"}]
    spec = Spec.from_json(
        {"experiment_id": "shop", "policy": {"name": "uniform", "params": {}}, "arms": arms, "seed": 3}
    )
    with contextlib.closing(Store.open(url)) as store:
        key = store.add_experiment("shop", json.dumps(spec.to_json()), b"", "{}", 0).key
        for hour in range(48):
            time, seq = 1_769_731_200_000_000 + hour * 3_600_000_000, 2 * hour + 1
            about = hour, hour % 2, 0.5
            store.append(
                [
                    Event(key, seq, DECIDE, *about, time=time),
                    Event(key, seq + 1, LEARN, *about, float(hour % 2), reward_id="", time=time + 1),
                ]
            )


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
