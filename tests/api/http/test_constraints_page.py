"""What docs/constraints.md shows runs, against a service."""

from __future__ import annotations

from pathlib import Path

from support.curled import answers
from support.served import Served


def test_the_calls_of_the_page_are_answered_as_it_says(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        created, first, last = (answer.json() for answer in answers(served, "constraints.md"))
        assert created["constraints"]["caps"] == {"discount": 0.5}
        assert (first["constraints_applied"], first["propensity"]) == ([], 0.25)
        assert last["relaxed"] == ["floor:partner", "cap:discount", "group_floor:new"]
