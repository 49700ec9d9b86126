"""What windows closed with is compared with what came in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.stored import run_sql
from support.windowed import Windowed

from onearm.api.cli.verify import has_fault, verified


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return a database whose log has every sort of closing: by two rewards, one early, by default, none, replaced."""
    with Windowed(tmp_path) as served:
        served.create(reward={"wait_time": "10s", "default": 0.25, "aggregation": "sum", "late": "record"})
        served.reward("d0", 0.5)
        for n in range(2):
            served.decide({"decision_id": f"d{n}"})
        served.reward("d0", {"value": 0.125, "reward_id": "x"})
        for n in range(2, 5):
            served.decide({"decision_id": f"d{n}", "defer_activation": True, "eligible_actions": ["a"]})
            served.reward(f"d{n}", 1.0)
        served.post("/v1/experiments/e/decisions/d3:activate")
        served.pass_time(10)
        served.reward("d1", {"value": 1.0, "reward_id": "late"})
        assert not any(map(has_fault, verified(served.url)))
        url: str = served.url
    return url


FAULTS = [
    ("UPDATE event SET reward = 0.5 WHERE kind = 1 AND number = 0", 0, "2 rewards come to 0.625"),
    ("UPDATE event SET reward = 0.0 WHERE kind = 1 AND number = 1", 1, "the default is 0.25"),
    ("UPDATE event SET reward = 0.25 WHERE kind = 4 AND number = 0 AND reward_id = 'x'", 0, "come to 0.75"),
    ("UPDATE event SET reward = 0.25 WHERE kind = 5", 0, "came as another at seq 1"),
    ('UPDATE event SET detail = \'{"closed": "default"}\' WHERE kind = 1 AND number = 3', 3, "1 rewards come to 1.0"),
    (
        'UPDATE event SET detail = \'{"activation": "lapsed"}\' WHERE kind = 6 AND number = 3 '
        "AND detail LIKE '%done%'",
        3,
        "was never shown",
    ),
]


@pytest.mark.parametrize(("sql", "number", "note"), FAULTS)
def test_a_closing_with_anything_else_is_a_fault(url: str, sql: str, number: int, note: str) -> None:
    run_sql(url, sql)
    found = verified(url)[-1]
    assert found["first_difference"] == number
    assert note in found["note"]
