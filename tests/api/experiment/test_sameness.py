"""A body that says what an earlier one said asks for the same experiment, however it spells a policy inside."""

from __future__ import annotations

from typing import Any

import pytest

from onearm.api.experiment.sameness import asks_for
from onearm.api.experiment.spec import Spec

ARMS = [{"id": "a"}, {"id": "b"}]
DENSE = {"context": {"kind": "dense", "length": 2}}
LATER = {"linucb": ("noise", "origin", "wait"), "fourier_softmax": ("coordinates", "robust")}


def body(policy: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"experiment_id": "e", "arms": ARMS, "problem": DENSE, "policy": policy} | fields


def floored(policy: Any, **beside: Any) -> dict[str, Any]:
    return {"name": "floor", "params": {"policy": policy} | beside}


def as_stored_before(policy: dict[str, Any]) -> dict[str, Any]:
    """Return the spec that a body made before its policy, or the one inside of it, had its newest params."""
    stored = Spec.from_json(body(policy)).to_json()
    inner = stored["policy"]["params"].get("policy", stored["policy"])
    for name in LATER[inner["name"]]:
        del inner["params"][name]
    return stored


FIRST_LINUCB = {"name": "linucb", "params": {"alpha": 0.4, "regularisation": 0.2}}
FIRST_SOFTMAX = {"name": "fourier_softmax", "params": {"regularisation": 0.3}}
CASES = [
    (FIRST_LINUCB, {"name": "linucb"}),
    (floored(FIRST_LINUCB), floored({"name": "linucb"})),
    (floored(FIRST_LINUCB), floored("linucb")),
    (floored(FIRST_LINUCB), floored('linucb:{"alpha":0.4}')),
    (floored(FIRST_LINUCB), floored("linucb", params={"alpha": 0.4})),
    (FIRST_SOFTMAX, {"name": "fourier_softmax"}),
    (floored(FIRST_SOFTMAX), floored("fourier_softmax")),
]


@pytest.mark.parametrize(("first", "now"), CASES)
def test_an_experiment_of_an_earlier_version_is_known_again(first: dict[str, Any], now: dict[str, Any]) -> None:
    stored = as_stored_before(first)
    asked = body(now)
    assert asks_for(asked, Spec.from_json(asked).to_json(), stored)
    assert Spec.from_stored(stored).to_json() == stored


@pytest.mark.parametrize(
    ("of", "before", "other"),
    [
        ({}, "thompson_any", "epsilon_greedy"),
        ({"problem": DENSE}, "fourier_softmax", "fourier_ucb"),
        ({"problem": {"context": {"kind": "features"}}}, "fourier_softmax", "fourier_ucb"),
        ({"reward": {"range": [0, 1]}}, "thompson_beta", "thompson_any"),
    ],
)
def test_who_names_no_policy_asks_for_the_default_of_then(of: dict[str, Any], before: str, other: str) -> None:
    """The default was the one inside before it was wrapped."""
    asked = {"experiment_id": "e", "arms": ARMS, **of}
    said = Spec.from_json(asked).to_json()
    assert said["policy"]["name"] == "adaptive"
    stored = Spec.from_json(asked | {"policy": before}).to_json()
    assert asks_for(asked, said, stored)
    assert not asks_for(asked, said, Spec.from_json(asked | {"policy": other}).to_json())
    assert not asks_for(asked, said, stored | {"seed": 1})
    named = asked | {"policy": said["policy"]}
    assert not asks_for(named, said, stored), "who names the wrapper means it"
    assert not asks_for(asked | {"policy": before}, stored, said), "nor does one who names the one inside"


@pytest.mark.parametrize(
    "gone", [("compared",), ("within_rewards", "compared"), ("within_rewards", "second_order", "compared")]
)
def test_the_default_for_named_features_of_an_earlier_version_is_known_again(gone: tuple[str, ...]) -> None:
    """It explored more, and lacked params that came later."""
    asked = {"experiment_id": "e", "arms": ARMS, "problem": {"context": {"kind": "features"}}}
    said = Spec.from_json(asked).to_json()
    stored = Spec.from_json(asked).to_json()
    inner = stored["policy"]["params"]["policy"]
    inner["params"]["temperature"] = 0.1
    for name in gone:
        stored["policy"]["params"].pop(name, None)
        inner["params"].pop(name, None)
    assert Spec.from_stored(stored).to_json() == stored
    assert asks_for(asked, said, stored)
    assert not asks_for(asked | {"policy": "fourier_ucb"}, said, stored)


def test_another_value_inside_is_another_experiment() -> None:
    asked = body(floored('linucb:{"alpha":0.5}'))
    assert not asks_for(asked, Spec.from_json(asked).to_json(), as_stored_before(floored(FIRST_LINUCB)))


def test_a_policy_inside_knows_the_declared_range_however_it_is_spelled() -> None:
    params = {"scale": "running_mean"}
    spellings = (
        floored({"name": "tsallis_inf", "params": params}),
        floored('tsallis_inf:{"scale":"running_mean"}'),
        floored("tsallis_inf", params=params),
    )
    asked = [body(policy, problem={}, reward={"range": [-10, 0]}) for policy in spellings]
    first, *others = (Spec.from_json(one).to_json() for one in asked)
    assert first["policy"]["params"]["policy"]["params"]["reward_max"] == 0.0
    assert others == [first, first]
