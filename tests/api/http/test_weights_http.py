"""The largest weights of an experiment over HTTP: those of Python, and the log is read while no reward waits."""

from __future__ import annotations

from typing import Any

import pytest
from support.served import Served

import onearm
from onearm.api.experiment.weights import SLOTS_MAX


@pytest.mark.parametrize("bits", [10, SLOTS_MAX.bit_length()])
def test_rewards_do_not_wait_for_the_log(served: Served, monkeypatch: pytest.MonkeyPatch, bits: int) -> None:
    name, context = f"words{bits}", {"kind": "features", "bits": bits}
    spec = {"arms": [{"id": "a"}, {"id": "b"}], "policy": {"name": "squarecb"}, "seed": 1}
    made = served.post("/v1/experiments", {"experiment_id": name, "problem": {"context": context}} | spec)
    assert made.status_code == 201, made.text
    engine = onearm.open(arms=["a", "b"], context=context, policy="squarecb", seed=1)
    for step in range(6):
        said = {"q": {"_text": "red" if step % 2 else "blue"}}
        decided = served.post(f"/v1/experiments/{name}/decisions", {"context": said}).json()
        served.reward(decided["decision_id"], float(step % 2), name)
        engine.learn(engine.decide(said), reward=float(step % 2))
    live, waited = served.service.live(name), []
    told_events = served.store.told_events

    def reading(*given: Any) -> Any:
        waited.append(live.reading.locked)
        return told_events(*given)

    monkeypatch.setattr(served.store, "told_events", reading)
    found = served.get(f"/v1/experiments/{name}/weights").json()
    assert waited == [False]
    names = {weight["name"] for weight in found["shared"]}
    assert names == {weight.name for weight in engine.weights().shared} == {"q.red", "q.blue"}
