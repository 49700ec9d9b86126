"""What docs/lives.md shows runs, against a service."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.served import Served

PAGE = Path(__file__).resolve().parents[3] / "docs" / "lives.md"
CALL = re.compile(r"^curl (?:-X (POST) )?(?:-d '(.*)' )?http://127\.0\.0\.1:8080(\S+)$", re.MULTILINE)


def test_the_calls_of_the_page_are_answered(tmp_path: Path) -> None:
    calls = CALL.findall(PAGE.read_text())
    assert len(calls) == 10
    with Served(tmp_path) as served:
        for method, body, path in calls:
            found = served.post(path, json.loads(body or "{}")) if method or body else served.get(path)
            assert found.status_code < 300, found.text
        found = served.get("/v1/experiments/shop/policies").json()
        assert {one["policy"]: one["role"] for one in found["policies"]} == {0: "shadow", 1: "live", 2: "canary"}
        assert found["policies"][2]["guard"]["against"] == "live"
        assert served.decide({"baseline_action": "sale"}, "careful").json()["agrees"] in (True, False)
        served.post("/v1/experiments/shop/policies/0:promote")
        served.post("/v1/experiments/shop/policies/1:retire")
        assert served.get("/v1/experiments/shop/policies").json()["retired"] == [1]
