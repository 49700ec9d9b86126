"""Logs of lists: the last slot repeats what all slots got, and a log ends behind a whole list."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support.served import Served, assert_refused
from support.shelves import create_lists, fill

from onearm.api.cli.verify import verified, verify_file
from onearm.api.log_files import source_of, writer
from onearm.engine.storage.formats import jsonl
from onearm.engine.storage.tables import EVENT

OTHERWISE = [("id", "ghost"), ("action_id", "h"), ("propensity", 0.125), ("ranking", [])]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        create_lists(served, "linucb")
        yield served


@pytest.mark.parametrize(
    ("row", "change", "code"),
    [
        (1, {"place": 1}, "bad_list"),  # the first one says that it is the second
        (2, {"slots": 3}, "bad_list"),  # of a list of another length
        (2, {"list_id": "other"}, "bad_list"),  # of another list
        (3, {"place": 7}, "bad_event"),
        (4, {"filled": []}, "bad_list"),
        (4, None, "bad_list"),  # it has an id of the client's, and says of no list
        (4, {"slots": 5, "filled": []}, "bad_list"),
    ],
)
def test_an_export_whose_slots_make_no_lists_is_not_imported(
    row: int, change: dict[str, Any] | None, code: str, served: Served
) -> None:
    fill(served, decision_id="page")
    lines = [json.loads(line) for line in served.get("/v1/experiments/e/log").content.splitlines()]
    detail = json.loads(lines[row].pop("detail"))
    if change is not None:
        lines[row]["detail"] = json.dumps(detail | change)
    before = served.everything()
    export = "".join(json.dumps(line) + "\n" for line in lines).encode()
    assert_refused(served.post("/v1/experiments:import?experiment_id=copy", export), 422, code)
    assert served.everything() == before


def changed_lists(served: Served, field: str, value: Any) -> list[dict[str, Any]]:
    """Return an export in which the last slot of a list says something else of the second one."""
    fill(served, decision_id="page", explain=field == "ranking")
    lines = [json.loads(line) for line in served.get("/v1/experiments/e/log").content.splitlines()]
    detail = json.loads(lines[4]["detail"])
    assert detail["filled"][1][field] != value
    detail["filled"][1][field] = value
    lines[4]["detail"] = json.dumps(detail)
    return lines


def as_export(lines: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.mark.parametrize(("field", "value"), OTHERWISE)
def test_a_last_slot_that_says_otherwise_than_the_slots_is_found(
    field: str, value: Any, served: Served, tmp_path: Path
) -> None:
    create_lists(served, "linucb", experiment_id="x")
    lines = changed_lists(served, field, value)
    answer = served.post("/v1/experiments:import?experiment_id=copy", as_export(lines))
    said = assert_refused(answer, 422, "bad_list")["detail"]
    assert "line 5" in said and "says of slot 1" in said
    file = tmp_path / "export.jsonl"
    file.write_bytes(as_export(lines))
    for path in (file, converted(file, tmp_path / "export.parquet")):
        found = verify_file(path, None)
        assert found["first_difference"] == 3 and "says of slot 1" in found["note"], path
    with sa.create_engine(served.url).begin() as connection:
        connection.execute(sa.update(EVENT).where(EVENT.c.seq == 4).values(detail=lines[4]["detail"]))
    (found,) = [one for one in verified(served.url) if one["id"] == "e"]
    assert found["first_difference"] == 3 and "says of slot 1" in found["note"]


def converted(source: Path, to: Path) -> Path:
    """Write an export as another format."""
    events = jsonl.read_events(source_of(source))
    with writer(to, events.problem, events.spec) as out:
        for event in events.rows:
            out.write_events([event])
    return to


def test_an_export_that_is_cut_within_its_last_list_is_refused_and_verify_says_so(
    served: Served, tmp_path: Path
) -> None:
    fill(served, decision_id="page")
    lines = served.get("/v1/experiments/e/log").content.splitlines(keepends=True)
    before = served.everything()
    file = tmp_path / "export.jsonl"
    for kept in (2, 3, 4):
        export = b"".join(lines[:kept])
        answer = served.post("/v1/experiments:import?experiment_id=copy", export)
        said = assert_refused(answer, 422, "missing_events")["detail"]
        assert f"the log ends with {kept - 1} of the 4 slots of the list 'page'" in said
        file.write_bytes(export)
        found = verify_file(file, None)
        assert found["first_difference"] is None and f"ends with {kept - 1} of the 4 slots" in found["note"]
    file.write_bytes(b"".join(lines))
    assert "note" not in verify_file(file, None)
    assert served.everything() == before
