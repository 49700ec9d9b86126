"""Candidates as people name them, and sweeps."""

from __future__ import annotations

import pytest

from onearm.api.offline.candidate_kinds import LoggedCandidate, of_policy
from onearm.api.offline.candidates import candidate, checked, sweep
from onearm.engine.errors import InvalidInput
from onearm.policies import catalog


@pytest.mark.parametrize(
    ("text", "label", "spec"),
    [
        ("logged", "logged", {"name": "logged", "params": {}}),
        ("first", "first", {"name": "action", "params": {"action": 0}}),
        ("action:12", "action:12", {"name": "action", "params": {"action": 12}}),
        ("uniform", "uniform", {"name": "uniform", "params": {}}),
        ('epsilon_greedy:{"epsilon": 0.2}', "epsilon_greedy(epsilon=0.2)", None),
    ],
)
def test_a_candidate_is_known_by_its_name(text: str, label: str, spec: object) -> None:
    found = candidate(text)
    assert found.label == label
    assert spec is None or found.spec == spec


@pytest.mark.parametrize("text", ["action:", "no_such_policy", "uniform:{", ""])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        candidate(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("squarecb.gamma=1:1000:log", [1, 3.16228, 10, 31.6228, 100, 316.228, 1000]),
        ("squarecb.gamma=1:1000:log:4", [1, 10, 100, 1000]),
        ("squarecb.gamma=1:7", [1, 2, 3, 4, 5, 6, 7]),
        ("squarecb.gamma=0.5:1.5:linear:3", [0.5, 1, 1.5]),
        ("squarecb.gamma=5,2.5,5", [5, 2.5]),
    ],
)
def test_a_sweep_is_a_range_or_a_list(text: str, values: list[float]) -> None:
    assert [each.policy.spec["params"]["gamma"] for each in sweep(text, [])] == values


def test_a_sweep_keeps_the_other_params_of_a_policy_that_is_given() -> None:
    given = [catalog.make("squarecb", regularisation=0.5), catalog.make("ucb1", alpha=3.0)]
    found = sweep("squarecb.gamma=1,2", given)
    assert [each.spec["params"]["regularisation"] for each in found] == [0.5, 0.5]
    assert sweep("epsilon_greedy.epsilon=0.5", given)[0].spec == catalog.make("epsilon_greedy", epsilon=0.5).spec


@pytest.mark.parametrize(
    "text",
    [
        "gamma=1:2",
        "squarecb.gamma",
        "squarecb.gamma=",
        "squarecb.=1:2",
        "squarecb.gamma=2:1",
        "squarecb.gamma=0:1:log",
        "squarecb.gamma=1:nan",
        "squarecb.gamma=1:2:exp",
        "squarecb.gamma=1:2:log:1",
        "squarecb.gamma=1:2:log:5000",
        "squarecb.gamma=1:2:log:x",
        "squarecb.gamma=a,b",
        "squarecb.nothing=1,2",
        "squarecb.gamma=-1,2",
    ],
)
def test_a_sweep_of_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        sweep(text, [])


def test_no_two_candidates_are_the_same() -> None:
    assert checked([LoggedCandidate(), of_policy(catalog.make("ucb1"))])
    with pytest.raises(InvalidInput, match="ucb1 is named 2 times"):
        checked([of_policy(catalog.make("ucb1")), of_policy(catalog.make("ucb1"))])
