"""What a policy is told of units and times at work is what the log says: live, in windows, imported, from a base."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.noting import noting
from support.windowed import Windowed

from onearm.api.cli.verify import has_fault, verified
from onearm.engine.features import unit_of
from onearm.engine.vocabulary import DECIDE, LEARN
from onearm.policies import catalog

E = "/v1/experiments/e"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Windowed]:
    monkeypatch.setattr(catalog, "_outside", {"noting": noting})
    with Windowed(tmp_path) as served:
        yield served


def noted(served: Windowed) -> tuple[list[int], list[int]]:
    """Return what the policy added up of decisions, and of rewards."""
    marked, learned = served.service.live("e").state
    return marked.tolist(), learned.tolist()


def on_record(served: Windowed) -> tuple[list[int], list[int]]:
    """Return the same, added up over the log."""
    decided = {event.number: event for event in served.events() if event.kind == DECIDE}
    rewarded = [decided[event.number] for event in served.events() if event.kind == LEARN]
    sums = []
    for events in (decided.values(), rewarded):
        units = [int(unit_of(event.unit_id)) for event in events]
        halves = sum(unit % 2**32 for unit in units), sum(unit >> 32 for unit in units)
        sums.append([*halves, sum(event.time for event in events)])
    return sums[0], sums[1]


@pytest.mark.parametrize("reward", [None, {"wait_time": "10s", "default": 0}])
def test_a_policy_is_told_live_what_the_log_says(served: Windowed, reward: dict[str, object] | None) -> None:
    fields = {} if reward is None else {"reward": reward}
    assert served.create(policy={"name": "noting"}, arms=[{"id": "a"}, {"id": "b"}], **fields).status_code == 201
    for n in range(30):
        made = served.decide({"unit_id": f"u{n % 4}"} if n % 5 else {}).json()["decision_id"]
        if n % 3:
            served.pass_time(0.5)
            served.reward(made, 0.5)
        served.pass_time(0.7)
    assert noted(served) == on_record(served)
    assert noted(served)[1][0] > 0
    digest, log = served.digest(), served.get(f"{E}/log").content
    served.restart()
    assert served.digest() == digest
    assert served.post("/v1/experiments:import?experiment_id=f", log).status_code == 201
    assert served.digest("f") == digest
    assert not any(map(has_fault, verified(served.url)))
    assert served.post(f"{E}:compact", {"archive": False}).status_code == 200
    served.pass_time(20)
    if reward is None:
        assert served.reward("~0", 1.0).status_code == 200  # of before the base
    assert noted(served) == on_record(served)
    digest = served.digest()
    served.restart()
    assert served.digest() == digest
    assert not any(map(has_fault, verified(served.url)))
