"""What docs/lives.md shows runs, against a service."""

from __future__ import annotations

from pathlib import Path

from support.curled import answers
from support.served import Served


def test_the_calls_of_the_page_are_answered(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        assert len(answers(served, "lives.md")) == 12
        found = served.get("/v1/experiments/shop/policies").json()
        assert {one["policy"]: one["role"] for one in found["policies"]} == {
            0: "shadow",
            1: "live",
            2: "shadow",
            3: "canary",
        }
        assert found["policies"][3]["guard"]["against"] == "live"
        assert served.decide({"baseline_action": "sale"}, "careful").json()["agrees"] in (True, False)
        served.post("/v1/experiments/shop/policies/0:promote")
        served.post("/v1/experiments/shop/policies/1:retire")
        assert served.get("/v1/experiments/shop/policies").json()["retired"] == [1]
