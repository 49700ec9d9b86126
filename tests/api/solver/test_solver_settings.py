"""What a tuner can be made of: values, policies and their params, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support.tuned import VALUES, drive

from onearm.api.solver import Tuner
from onearm.engine.errors import InvalidInput, OnearmError
from onearm.policies import catalog as policies


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"grid": (1.9, 1.0, 5)}, "the second must be larger"),
        ({"grid": (1.0, 1.5, 1.9)}, "a grid of 1.9 values"),
        ({"grid": (1.0, 1.9, 0)}, "a grid of 0 values"),
        ({"grid": (1.0, math.nan, 3)}, r"grid\[1\] is nan"),
        ({"grid": 5}, "it must be"),
        ({"grid": (1.0, 1.9, 3), "values": [1.0]}, "give one of them"),
        ({"values": []}, "there are 0 values"),
        ({"values": [1.0, 1.0]}, "the value 1.0 is there twice"),
        ({"values": [1.0, math.inf]}, "a value is inf"),
        ({"values": [1.0, None]}, "a value is None"),
        ({"values": "abc"}, "it must be a list"),
        ({"values": ["jacobi", "ilu"], "default": "amg"}, "it must be one of 'jacobi', 'ilu'"),
        ({"default": math.nan}, "default is nan"),
        ({"context": 3.0}, "it must be the range"),
        ({"context": (1.0, 1.0)}, "the second must be larger"),
        ({"context": (0.0, math.inf)}, r"context\[1\] is inf: it must be one finite number"),
        ({"policy": "young", "values": [1.0, 1.2, 1.7]}, "policy 'young' takes its arms for equally spaced omegas"),
        ({"policy": "young", "values": ["a", "b"]}, "policy 'young' takes its arms for equally spaced omegas"),
        ({"policy": 'young:{"omega_max":1.8}'}, r"give grid=\(low, high, how many\)"),
        ({"policy": 'floor:{"policy":"fixed_omega"}', "grid": (1.0, 1.9, 10)}, "policy 'floor' takes its arms"),
        ({"policy": policies.make("fixed_omega"), "grid": (1.0, 1.9, 10)}, "policy 'fixed_omega' takes its arms"),
        ({"cost": "joules"}, "it must be one of iterations, seconds"),
        ({"backstop": 1.0}, "backstop is 1.0"),
        ({"seed": -1}, "the seed is -1"),
        ({"policy": "chebcb"}, r"policy 'chebcb' reads a context: give its range as context=\(low, high\)"),
        ({"policy": "nobody"}, "there is no policy 'nobody'"),
        ({"policy": "ucb1:{"}, "not JSON"),
        ({"policy": 'ucb1:{"beta":1}'}, "has no param 'beta'"),
        ({"policy": "ucb1:[1]"}, "must be an object"),
        ({"policy": 7}, "policy is 7"),
        ({"policy": {"name": "ucb1", "more": 1}}, "only name and params"),
        ({"policy": "early_drop"}, "arms that stream past"),
        ({"policy": "exp3_ix"}, "learns the same from 2 iterations as from 200"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(OnearmError, match=says):
        Tuner(**settings)


@pytest.mark.usefixtures("few_cosines", "coarse_quadrature")
def test_any_policy_that_decides_on_arms_tunes_or_says_why_not() -> None:
    refused = {}
    for name in policies.names():
        try:
            drive(Tuner(name, values=VALUES, context=(0.0, 0.4)), 4)
        except InvalidInput as error:
            refused[name] = error.code
    assert {"squarecb", "linucb", "chebcb", "tsallis_inf_binned", "fixed_omega"}.isdisjoint(refused)
    assert set(refused.values()) <= {"policy_does_not_fit", "missing_param"}
    assert refused["exp3_ix"] == "policy_does_not_fit"


def test_params_that_a_tuner_knows_are_filled_in_and_may_be_given() -> None:
    spec = Tuner("chebcb", context=(-1.0, 2.0)).settings.policy.spec
    assert spec["params"] | {"low": -1.0, "high": 2.0, "reward_max": -1.0} == spec["params"]
    assert Tuner("chebcb", context=(-1.0, 2.0), cost="seconds").settings.policy.spec["params"]["reward_max"] == 0.0
    given = Tuner('chebcb:{"high":9,"features":3}', context=(-1.0, 2.0)).settings.policy.spec["params"]
    assert (given["low"], given["high"], given["features"]) == (-1.0, 9, 3)
    assert Tuner().settings.policy.spec["params"]["scale"] == "running_mean"


def test_policies_of_omegas_are_told_the_ends_of_the_grid() -> None:
    rule = Tuner("young", grid=(1.0, 1.9, 10), context=(-0.15, 0.45))
    assert rule.propose(0.0) == pytest.approx(1.6)  # Young's rule says 1.56
    assert Tuner('fixed_omega:{"omega":1.6}', values=[1.2, 1.4, 1.6]).propose() == 1.6
    assert Tuner("fixed_omega", values=[1.7]).propose() == 1.7
    assert Tuner(
        policies.make("fixed_omega", omega=1.3, omega_max=1.9), grid=(1.0, 1.9, 10)
    ).propose() == pytest.approx(1.3)


def test_a_chain_does_without_a_context_and_finds_the_cheap_value() -> None:
    tuner = Tuner("maillard_chain", values=VALUES, seed=1)
    drive(tuner, 100)
    assert tuner.law()[2] > 0.6 and tuner.report().best == 1.6
    assert len(tuner._state.links.moment[0]) == 1  # one number an arm: a constant


def test_whole_numbers_stay_whole_and_numbers_of_numpy_are_numbers() -> None:
    for values in ([10, 20, 30], np.array([10, 20, 30]), list(np.array([10, 20, 30]))):
        tuner = Tuner("ucb1", values=values, default=np.int64(20), seed=np.int64(3), backstop=np.float32(4.0))
        assert type(tuner.propose()) is int and type(tuner.safe) is int and tuner.safe == 20
        tuner.observe(3)
        assert Tuner.load(tuner.save()).values == (10, 20, 30)
    few = Tuner("chebcb", grid=(np.float32(1.0), 2, np.int64(3)), context=(np.float32(0.0), np.int64(1)))
    assert few.values == (1.0, 1.5, 2.0) and few.settings.context == (0.0, 1.0)
    assert type(Tuner("ucb1", values=[np.str_("a"), "b"]).propose()) is str


def test_the_grid_of_the_paper_is_the_default_and_labels_and_lists_will_do() -> None:
    assert np.allclose(Tuner("ucb1").values, np.linspace(1.0, 1.95, 20)) and Tuner("ucb1").safe == pytest.approx(1.5)
    assert Tuner("ucb1", values=np.geomspace(1e-6, 1e-2, 3)).safe == pytest.approx(1e-6)
    kinds = Tuner("ucb1", values=["jacobi", "ilu"], default="ilu")
    assert (kinds.safe, kinds.propose()) == ("ilu", "jacobi")
    assert Tuner("ucb1", grid=(1.2, 1.2, 1)).propose() == 1.2


@pytest.mark.parametrize("values", [VALUES, ["a", "b", "c"], [1e-6, 1e-2], [1.7]])
def test_fixed_always_takes_the_default(values: list[Any]) -> None:
    for default in values:
        tuner = Tuner("fixed", values=values, default=default)
        assert [tuner.ask().value for _ in range(3)] == [default] * 3
