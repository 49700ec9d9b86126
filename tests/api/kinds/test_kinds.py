"""What holds for every kind of decision: the table knows it, its JSON reads back, what it does not read is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.served import ARMS, Served, assert_refused

from onearm.api.durable.hosted import HOSTED
from onearm.api.experiment.spec import Spec
from onearm.api.kinds.engines import ENGINES
from onearm.api.kinds.kind import DECIDED_BY, Kind
from onearm.api.kinds.streams.kind import STREAMS
from onearm.api.kinds.table import KINDS, kind_of
from onearm.engine.errors import InvalidInput

BODIES: dict[str, dict[str, Any]] = {
    "arms": {"arms": ARMS, "problem": {"kind": "arms", "context": {"kind": "dense", "length": 2}, "horizon": 9}},
    "lists": {
        "arms": ARMS,
        "problem": {"kind": "lists", "context": {"kind": "dense", "length": 2}, "slots": {"max": 3, "length": 1}},
    },
    "arm_stream": {"problem": {"kind": "arm_stream", "slots": 2, "arms": 50, "reward_range": [-1.0, 3.0]}},
    "vector": {"problem": {"kind": "vector", "domain": {"kind": "ball", "dimension": 3}, "feedback": "gradient"}},
    "queries": {"problem": {"kind": "queries", "task": "thresholds", "queries": 4, "horizon": 12}},
}
SENT = {  # a value of each field of a decision's body
    "context": [1.0, 2.0],
    "state": 1,
    "begins": True,
    "actions": [{"id": "x"}],
    "eligible_actions": ["a"],
    "excluded_actions": ["a"],
    "slots": [{"id": "x"}],
    "explain": True,
    "rank": True,
    "hint": [1.0, 0.0, 0.0],
}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path) as served:
        yield served


def spec_of(kind: Kind) -> Spec:
    return Spec.from_json({"experiment_id": kind.name, **BODIES[kind.name]})


def test_the_table_names_each_kind_once() -> None:
    assert [kind.name for kind in KINDS] == ["arms", "lists", "arm_stream", "vector", "queries"]
    assert len({kind.choice for kind in KINDS}) == len(KINDS)


def test_every_kind_opens_in_this_process() -> None:
    """As an engine, or where that is none, at a service."""
    assert HOSTED.keys() == {kind.name for kind in KINDS} == ENGINES.keys() | {STREAMS.name}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_problem_finds_its_kind_and_its_json_reads_back(kind: Kind) -> None:
    spec = spec_of(kind)
    assert kind_of(spec.problem) is kind
    said = spec.to_json()
    assert said["problem"]["kind"] == kind.name
    assert Spec.from_json(said).to_json() == said
    assert spec.policy.name == kind.default_policy(spec.problem)["name"]


def test_a_kind_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="'slates': arms, lists, arm_stream, vector and queries are known"):
        Spec.from_json({"experiment_id": "e", "problem": {"kind": "slates"}})


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_fields_that_a_kind_does_not_read_are_refused(kind: Kind, served: Served) -> None:
    assert set(SENT) == set(DECIDED_BY) == kind.fields | set(kind.refused)
    name = kind.name
    assert served.post("/v1/experiments", {"experiment_id": name, **BODIES[name]}).status_code == 201
    before = served.everything()
    for field in kind.refused:
        words = assert_refused(served.decide({field: SENT[field]}, name), 422, "unexpected_field")["detail"]
        assert f"the decision has {'a ' if kind.has_arms else ''}{field}, but" in words and repr(name) in words
    assert served.everything() == before


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_a_kind_has_not_is_refused_and_written_nowhere(kind: Kind, served: Served) -> None:
    name = kind.name
    assert served.post("/v1/experiments", {"experiment_id": name, **BODIES[name]}).status_code == 201
    before = served.everything()
    for what in {"close", "commit"} - set(kind.changes):
        path = ":commit" if what == "commit" else "/arms:close"
        assert_refused(served.post(f"/v1/experiments/{name}{path}"), 422, "no_stream")
    if kind.recommend is None:
        assert_refused(served.get(f"/v1/experiments/{name}/recommendation"), 422, "no_stream")
    if kind.external is None:
        example = {"action_id": "a", "value": 1.0, "propensity": 0.5}
        answer = served.post(f"/v1/experiments/{name}/examples:batch", {"examples": [example]}).json()["examples"][0]
        assert answer["code"] == "no_examples" and repr(name) in answer["detail"]
    assert served.everything() == before


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_gymnasium_has_a_space_for_each_kind(kind: Kind) -> None:
    problem = spec_of(kind).problem
    space = kind_of(problem).gym.action_space(problem)
    space.seed(1)
    row = kind_of(problem).gym.read(space.sample(), space)
    assert len(row) == 1


def test_a_kind_is_fixed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        KINDS[0].name = "other"  # type: ignore[misc]
