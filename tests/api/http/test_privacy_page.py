"""What docs/privacy.md shows runs, against a service."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.curled import DOCS, answers
from support.served import Served


def test_the_calls_of_the_page_are_answered_as_it_says(tmp_path: Path) -> None:
    said = json.loads(re.findall(r"^# (\{.*\})$", (DOCS / "privacy.md").read_text(), re.MULTILINE)[0])
    with Served(tmp_path) as served:
        served.post("/v1/experiments", {"experiment_id": "shop", "arms": [{"id": "a"}, {"id": "b"}]})
        for visit, unit in enumerate(("visitor-7", "visitor-7", "visitor-7", "visitor-8")):
            served.decide({"decision_id": f"visit-{visit}", "unit_id": unit}, "shop")
            if visit:
                served.post(f"/v1/experiments/shop/decisions/visit-{visit}/reward", {"value": 1})
        found, erased, of_ids = (answer.json() for answer in answers(served, "privacy.md"))
        assert [one["decision_id"] for one in found["decisions"]] == ["visit-0", "visit-1", "visit-2"]
        assert erased == said
        assert of_ids["decisions"] == 0  # visit-1 was blanked, and there is no ~17
