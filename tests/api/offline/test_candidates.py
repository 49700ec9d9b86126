"""Candidates as people name them."""

from __future__ import annotations

import pytest

from onearm.api.offline.candidate_kinds import LoggedCandidate, of_policy
from onearm.api.offline.candidates import candidate, checked
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


def test_no_two_candidates_are_the_same() -> None:
    assert checked([LoggedCandidate(), of_policy(catalog.make("ucb1"))])
    with pytest.raises(InvalidInput, match="ucb1 is named 2 times"):
        checked([of_policy(catalog.make("ucb1")), of_policy(catalog.make("ucb1"))])
