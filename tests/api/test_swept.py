"""Sweeps, as people write them."""

from __future__ import annotations

import pytest

from onearm.api.swept import label_among, swept
from onearm.engine.errors import InvalidInput
from onearm.policies import catalog


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
    assert [each.spec["params"]["gamma"] for each in swept(text, [])] == values


def test_a_sweep_keeps_the_other_params_of_a_policy_that_is_given() -> None:
    given = [catalog.make("squarecb", regularisation=0.5), catalog.make("ucb1", alpha=3.0)]
    found = swept("squarecb.gamma=1,2", given)
    assert [each.spec["params"]["regularisation"] for each in found] == [0.5, 0.5]
    assert swept("epsilon_greedy.epsilon=0.5", given)[0].spec == catalog.make("epsilon_greedy", epsilon=0.5).spec


def test_every_row_of_a_sweep_tells_the_param_that_is_swept_and_no_other_row_does() -> None:
    sweeps = ["ucb1.alpha=0.5,1,2", "epsilon_greedy.origin=1,2"]
    found = [*(each for text in sweeps for each in swept(text, [])), catalog.make("epsilon_greedy")]
    labels = [label_among(each.spec, sweeps) for each in found]
    assert labels[:3] == ["ucb1(alpha=0.5)", "ucb1(alpha=1)", "ucb1(alpha=2)"]
    assert labels[3:] == [f"epsilon_greedy(origin={value})" for value in (1, 2, None)]
    assert [label_among(each.spec, []) for each in found] == [catalog.label(each.spec) for each in found]


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
        swept(text, [])
