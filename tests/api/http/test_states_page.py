"""What docs/states.md shows runs, against a service."""

from __future__ import annotations

from pathlib import Path

from support.curled import answers
from support.served import Served


def test_the_calls_of_the_page_are_answered(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        made, decided, rewarded, *retries = answers(served, "states.md")
        assert made.json()["policy"]["name"] == "half_visit"
        assert decided.json()["action_id"] in ("refuse", "accept")
        assert rewarded.json() == retries[2].json() == {"status": "accepted"}
        record = served.record("~0", "door").json()
        assert (record["state"], record["reward"]["next_state"]) == (
            {"inside": 2, "class": 0},
            {"inside": 3, "class": 1},
        )
        plan = served.get("/v1/experiments/door/report").json()["plan"]
        assert [one["state"] for one in plan["states"]] == [{"inside": 2, "class": 0}]
