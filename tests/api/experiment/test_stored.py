"""Specs of a database: alike ones are read once, and each has its own id and seed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from onearm.api.experiment.spec import Spec
from onearm.api.experiment.stored import StoredSpecs
from onearm.engine.errors import InvalidInput

BODY: dict[str, Any] = {"experiment_id": "e1", "arms": [{"id": "a"}, {"id": "b"}], "policy": "ucb1", "seed": 1}


def stored(**fields: Any) -> str:
    return json.dumps(Spec.from_json(BODY | fields).to_json())


def test_each_is_what_it_would_be_if_it_were_read_alone() -> None:
    texts = [
        stored(),
        stored(experiment_id="e2", seed=str(2**63)),
        stored(experiment_id="e3", arms=[{"id": "a"}, {"id": "c"}]),
        stored(experiment_id="e4", policy={"name": "ucb1", "params": {"alpha": 2.0}}),
    ]
    specs = StoredSpecs()
    for text in texts * 2:
        found, alone = specs.read(text), Spec.from_stored(json.loads(text))
        assert found.to_json() == alone.to_json() == json.loads(text)
        assert found.run == alone.run
    first, second, other, _ = map(specs.read, texts)
    assert first.policy is second.policy is not other.policy


def test_an_id_or_a_seed_that_is_none_is_refused_of_alike_ones_too() -> None:
    specs = StoredSpecs()
    specs.read(stored())
    for wrong in ({"experiment_id": "a\nb"}, {"seed": -1}):
        with pytest.raises(InvalidInput):
            specs.read(json.dumps(json.loads(stored()) | wrong))
