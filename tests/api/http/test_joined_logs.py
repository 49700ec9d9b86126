"""Exports in the joined form, from the service and back: what is damaged or missing is refused by its event."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.old_logs import command
from support.served import Served, assert_refused, rewarded_database, served_again

from onearm.api.cli.main import run
from onearm.api.service.experiment_log import ExperimentLog, log_of
from onearm.engine.errors import Conflict
from onearm.engine.storage.formats import jsonl

LOG = "/v1/experiments/e/log?rows=decisions"
IMPORT = "/v1/experiments:import?experiment_id=copy"
Lines = list[dict[str, Any]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the database of a service that ended, with 6 decisions and their rewards: 12 events."""
    return rewarded_database(tmp_path_factory.mktemp("written"), 6)


@pytest.fixture
def served(tmp_path: Path, written: Path) -> Iterator[Served]:
    """Yield a service over a copy of that."""
    with served_again(written, tmp_path) as served:
        yield served


def changed(export: bytes, change: Callable[[Lines], object]) -> bytes:
    """Return an export with other rows."""
    header, *rows = map(json.loads, export.splitlines())
    change(rows)
    return b"".join(json.dumps(line).encode() + b"\n" for line in [header, *rows])


CHANGES: dict[str, tuple[Callable[[Lines], object], str, str]] = {
    "a row is missing": (lambda rows: rows.pop(2), "missing_events", "no row holds event 5, and the next one is 7"),
    "the last row is missing": (
        lambda rows: rows.pop(),
        "bad_line",
        "event 11 is bad (missing_event), one of 2 bad events: no row holds event 11, 12",
    ),
    "the last row has a bad action": (
        lambda rows: rows[5].update(action=99),
        "bad_line",
        "event 11 is bad (bad_action), one of 2 bad events",
    ),
    "a row is there twice": (lambda rows: rows.append(rows[2]), "bad_line", "event 5 is bad (repeated_seq)"),
    "a reward is another": (
        lambda rows: rows[3]["learned"].update(reward=0.25),
        "bad_line",
        "event 7 is bad (other_reward), one of 1 bad events: the reward of decision 3 is 0.5",
    ),
    "an id is there twice": (
        lambda rows: rows[4].update(decision_id="d0"),
        "decision_exists",
        "event 9: there is a decision 'd0' before",
    ),
    "a line is none": (
        lambda rows: rows[5].update(action="one"),
        "bad_line",
        """line 7 is bad (wrong_type), one of 3 bad lines: it is '{"kind": "decide", "seq": 11,""",
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_wrong_with_an_event_is_refused_by_its_seq(served: Served, name: str) -> None:
    change, code, says = CHANGES[name]
    answer = served.post(IMPORT, changed(served.get(LOG).content, change))
    assert_refused(answer, 422, code)
    assert says in assert_refused(answer, 422, code)["detail"]


def test_commands_name_events_too(served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "e.jsonl"
    file.write_bytes(changed(served.get(LOG).content, lambda rows: rows.pop()))
    code, found = command("verify", str(file))
    assert code == 1
    assert "missing_event in events 11, 12 (no row holds event 11, 12" in found["experiments"][0]["note"]

    assert run(["convert", str(file), str(tmp_path / "again.jsonl")]) == 0
    assert "2 bad: missing_event in event 11, 12 (no row" in capsys.readouterr().err


def log(served: Served) -> tuple[ExperimentLog, int]:
    row = next(row for row in served.store.experiments() if row.id == "e")
    return log_of(served.store, row), row.key


def test_decisions_that_are_erased_while_an_export_is_read_end_it(served: Served) -> None:
    """Its header was written, and says that nothing is missing."""
    of_all, key = log(served)
    pages = of_all.joined_pages(of_all.extent)
    assert next(pages)
    served.store.erase(key, [4])
    with pytest.raises(Conflict, match="erased while the log was read") as ended:
        list(pages)
    assert ended.value.code == "erased"
    assert sum(map(len, of_all.joined_pages(of_all.extent))) == 5


def test_the_header_says_how_many_events_were_erased(served: Served, tmp_path: Path) -> None:
    """So what is cut off is found all the same."""
    of_all, key = log(served)
    served.store.erase(key, [1, 4])
    export = served.get(LOG).content
    assert json.loads(export.split(b"\n")[0])["gaps"] == of_all.extent.gaps == 4
    file = tmp_path / "e.jsonl"
    file.write_bytes(export)
    assert not jsonl.read(file).bad_lines.count
    file.write_bytes(changed(export, lambda rows: rows.pop()))
    assert jsonl.read(file).bad_lines.count == {"missing_event": 6}
