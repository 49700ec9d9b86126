"""What docs/lists.md shows runs, against a service."""

from __future__ import annotations

from pathlib import Path

from support.curled import answers
from support.served import Served


def test_the_calls_of_the_page_are_answered_as_it_says(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        created, made, rewarded = (answer.json() for answer in answers(served, "lists.md"))
        assert created["problem"]["slots"] == {"max": 3, "length": 1}
        top, side = made["slots"]
        assert (made["decision_id"], made["policy"], made["model_version"]) == ("visit-1", "squarecb", 1)
        assert (top["id"], top["propensity"], side["id"]) == ("top", 0.25, "side")
        assert side["action_id"] not in ("c", top["action_id"])
        assert rewarded == {"status": "accepted"}
