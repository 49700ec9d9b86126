"""Named: the numbers of another environment, by name; what is shown is what the encoder makes of the same objects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.contexts import context_at
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.vocabulary import LEARN, Columns
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

ROWS = [[1.5, 0.0, -2.0], [0.0, 0.0, 0.0], [3.0, 1e-3, 4.0], [0.5, -7.0, 0.0]]
TABLE = {"name": "classification", "params": {"features": ROWS, "label": [0, 1, 2, 3]}}


def log_of(env: Any, steps: int) -> Columns:
    return Simulation(policies.make("uniform"), env, horizon=steps, seed=1).advance_logged(steps)


@pytest.mark.parametrize("bits", [2, 5, 18])
def test_what_is_shown_is_what_the_encoder_makes_of_it(bits: int) -> None:
    dense, named = log_of(envs.from_spec(TABLE), 8), log_of(envs.make("named", env=TABLE, bits=bits), 8)
    np.testing.assert_array_equal(named.reward, dense.reward)
    assert {tuple(row) for row in dense.context} == {tuple(row) for row in ROWS}
    for row in range(len(named.kind)):
        found = context_at(named.context, row)
        actions = [{"id": str(a)} for a in range(4)]
        wanted = Encoder(bits=bits).encode({"x": dense.context[row].tolist()}, actions)
        kept = slice(found.start[0], found.start[-1])
        assert (found.start - found.start[0]).tolist() == wanted.start.tolist()
        assert found.index[kept].tolist() == wanted.index.tolist()
        np.testing.assert_allclose(found.value[kept], wanted.value, rtol=1e-13)


def test_arms_without_a_context_have_their_ids() -> None:
    env = envs.make("named", env={"name": "bernoulli", "params": {"mean": [0.1, 0.9]}})
    log = log_of(env, 5)
    wanted = Encoder().encode(None, [{"id": "0"}, {"id": "1"}])
    assert log.context.index[:2].tolist() == wanted.index.tolist()
    assert (env.problem.nonzeros, env.problem.context_shape) == (2, (2, 2**18))


def test_delays_and_masks_of_the_environment_inside_are_kept() -> None:
    late = {
        "name": "delayed",
        "params": {"env": {"name": "linear", "params": {"arms": 5, "min_actions": 2}}, "delay": 4},
    }
    env = envs.make("named", env=late)
    inside, log = log_of(envs.from_spec(late), 40), log_of(env, 40)
    assert env.delay_max == 4
    assert (log.kind == LEARN).sum() == 36
    assert not log.available.all()
    np.testing.assert_array_equal(log.available, inside.available)
    np.testing.assert_array_equal(log.reward, inside.reward)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"env": TABLE, "bits": 27}, "from 1 to 26"),
        ({"env": TABLE, "bits": True}, "bits is True"),
        ({"env": {"name": "linear", "params": {"action_features": True}}}, "features for each action already"),
        ({"env": {"name": "linear", "params": {"arms": 10_000, "dimension": 1000}}}, "too many to name"),
    ],
)
def test_what_cannot_be_named_is_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        envs.make("named", **wrong)


@pytest.mark.slow
@pytest.mark.jit
def test_a_policy_of_named_features_learns_what_is_shown() -> None:
    """Digits, one pass: .1 by chance, .55 measured."""
    env = envs.make("named", env={"name": "classification", "params": {"dataset": "digits"}})
    earned = simulate(policies.make("squarecb"), env, horizon=1797, replications=4, seed=0).reward[:, -1] / 1797
    assert earned.mean() > 0.45
