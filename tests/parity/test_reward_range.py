"""A reward outside of the range of an experiment is refused by every interface, in the same words and for nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from click.testing import CliRunner
from support.direct import Direct
from support.served import Served

import onearm
from onearm.api import gym
from onearm.api.cli.main import main
from onearm.engine import snapshot
from onearm.engine.columns import empty
from onearm.engine.errors import InvalidInput, RewardWarning
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.vocabulary import Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

pytestmark = pytest.mark.usefixtures("coarse_quadrature")
EUROS = (-5.0, 15.0)
COIN = {"name": "bernoulli", "params": {"mean": [0.2, 0.8]}}
SCALED = {"env": COIN, "scale": 16.0, "offset": -5.0}
RULE = r"lie in \[-5, 15\]; at creation declare the range that rewards have \(reward.range; in Python reward_range\)"
Take = Callable[[float], Any]


def learn(engine: Any) -> Take:
    return lambda reward: engine.learn(engine.decide(), reward)


def learn_many(engine: Any) -> Take:
    return lambda reward: engine.learn_many(engine.decide_many(2), [0.0, reward])


def warm_start(engine: Any) -> Take:
    def take(reward: float) -> None:
        rows = empty(2, Problem(2))
        engine.warm_start(rows._replace(propensity=np.full(2, 0.5), reward=np.array([0.0, reward])))

    return take


@pytest.mark.parametrize("policy", ["default", "thompson_any", "ucb1"])
@pytest.mark.parametrize("way", [learn, learn_many, warm_start])
def test_python_takes_the_ends_and_refuses_what_lies_farther(policy: str, way: Callable[[Any], Take]) -> None:
    engine = onearm.open(policy, arms=2, reward_range=EUROS)
    take = way(engine)
    for end in EUROS:
        take(end)
    digest, learned = engine.digest(), engine.rewards
    for reward in (-5.000001, 15.1, 1e99):
        words = r"2 rewards lie outside of \[-5, 15\], the least is" if way is warm_start else RULE
        with pytest.raises(InvalidInput, match=words):
            take(reward)
    assert (engine.digest(), engine.rewards) == (digest, learned)


def test_python_and_the_service_decide_alike_in_a_declared_range(client: Direct) -> None:
    body = {"experiment_id": "euros", "arms": [{"id": "a"}, {"id": "b"}], "seed": 4, "reward": {"range": list(EUROS)}}
    body |= {"policy": {"name": "thompson_beta", "params": {}}}
    assert client.post("/v1/experiments", json=body).json()["reward"] == {"range": list(EUROS)}
    engine = onearm.open("thompson_beta", arms=["a", "b"], seed=4, reward_range=EUROS)
    for t in range(12):
        made, reward = engine.decide(), float((t * 7) % 20 - 5)
        path = "/v1/experiments/euros/decisions"
        answered = client.post(path, json={}).json()
        assert (answered["action_id"], answered["propensity"]) == (made.action_id, made.propensity)
        engine.learn(made, reward)
        assert client.post(f"{path}/~{t}/reward", json={"value": reward}).status_code == 200
    assert client.get("/v1/experiments/euros").json()["digest"] == engine.digest()


@pytest.mark.parametrize(
    "given", [{"domain": {"kind": "ball", "dimension": 2}}, {"task": onearm.best_arm(2), "horizon": 3}]
)
def test_python_refuses_a_range_where_no_reward_is_learned(given: Any) -> None:
    with pytest.raises(InvalidInput, match="the experiment has a reward, but it decides"):
        onearm.open(reward_range=EUROS, **given)


@pytest.mark.parametrize("limits", [(1, 0), (0, float("nan")), (0, True), (0, float("inf")), "01", (0, 1e300)])
def test_python_refuses_what_is_no_range(limits: Any) -> None:
    with pytest.raises(InvalidInput, match=r"reward\.range is"):
        onearm.open(arms=2, reward_range=limits)


@pytest.mark.parametrize("policy", ["thompson_beta", "kl_ucb", "exp3_ix"])
def test_an_environment_that_knows_its_range_is_learned_in_parts_of_it_by_all(policy: str) -> None:
    """As a coin, in other units; by Gymnasium as by the simulation."""
    plain, euros = (
        Simulation(policies.make(policy), env, horizon=60, seed=5)
        for env in (envs.from_spec(COIN), envs.make("scaled", **SCALED))
    )
    assert euros.problem.reward_range == (-5.0, 11.0) and euros.outside is None
    for run in (plain, euros):
        run.advance(60)
    assert snapshot.digest(euros.state) == snapshot.digest(plain.state)
    course = gym.run(policy, gymnasium.make("onearm:onearm/Scaled-v0", horizon=60, **SCALED), steps=60, seed=5)
    assert set(course.reward) == {-5.0, 11.0}
    if policies.make(policy).deterministic:  # else its draws would differ: nature has a seed of its own
        nature = int(gymnasium.utils.seeding.np_random(5)[0].integers(2**63))
        simulated = Simulation(policies.make(policy), envs.make("scaled", **SCALED), horizon=60, seed=nature)
        simulated.advance(60)
        assert snapshot.digest(course.state) == snapshot.digest(simulated.state)


@pytest.mark.jit
def test_compiled_code_learns_parts_of_a_range_to_the_bit_and_counts_what_lies_outside() -> None:
    worlds = envs.from_spec(COIN), envs.make("scaled", **SCALED)
    plain, euros = (Simulation(policies.make("ucb1"), env, horizon=500, seed=5) for env in worlds)
    noisy = Simulation(policies.make("ucb1"), envs.make("normal", mean=[0.5, 0.5]), horizon=500, seed=5)
    for run in (plain, euros, noisy):
        run.advance(500)
    assert snapshot.digest(euros.state) == snapshot.digest(plain.state)
    assert noisy.outside is not None and noisy.outside.count[0] > 100


def test_gymnasium_refuses_what_the_policy_is_not_made_for_before_it_is_learned() -> None:
    env = gymnasium.make("onearm/Normal-v0", mean=[0.0, 30.0], sd=0.0)
    with pytest.raises(InvalidInput, match=r"the reward is 30.0: the rewards of this experiment lie in \[0, 1\]"):
        gym.run("ucb1", env, steps=10)
    with pytest.raises(InvalidInput, match=r"the reward is 30.0: .* lie in \[-5, 15\]"):
        gym.run("thompson_any", env, steps=50, reward_range=EUROS)
    assert set(gym.run("ucb1", env, steps=50, reward_range=(0, 30)).reward) == {0.0, 30.0}
    assert set(gym.run("thompson_any", env, steps=50).reward) == {0.0, 30.0}
    with pytest.raises(InvalidInput, match="reward_range is for rewards; leave them out"):
        gym.run("uniform_budget", gymnasium.make("onearm/BestArm-v0"), steps=5, reward_range=(0, 1))
    with pytest.raises(InvalidInput, match=r"lie in \[0, 1\]"):
        gym.run("optimistic_ftrl", gymnasium.make("onearm/Sea-v0", domain="ball"), steps=50, reward_range=(0, 1))


def test_a_simulation_counts_what_the_policy_is_not_made_for() -> None:
    world = envs.make("normal", mean=[0.5, 0.5], sd=1.0)
    with pytest.warns(
        RewardWarning, match=r"'ucb1' is made for rewards in \[0, 1\], and \d+ of those that 'normal' paid"
    ):
        curves = simulate(policies.make("ucb1"), world, horizon=100, replications=3, seed=1)
    seen = curves.outside
    assert seen is not None and seen.least[0] < 0.0 and seen.greatest[0] > 1.0
    runs = [Simulation(policies.make("ucb1"), world, horizon=100, seed=1, replication=r) for r in range(3)]
    logs = [run.advance_logged(100) for run in runs]
    rewards = np.concatenate([log.reward[log.kind == 1] for log in logs])
    wrong = rewards[(rewards < 0.0) | (rewards > 1.0)]
    assert (seen.count[0], seen.least[0], seen.greatest[0]) == (len(wrong), wrong.min(), wrong.max())
    for policy, env in (("thompson_any", world), ("ucb1", envs.from_spec(COIN))):
        assert simulate(policies.make(policy), env, horizon=100, seed=1).outside is None


def told(*arguments: Any) -> Any:
    """Return how a command ended, what it printed, and what it said."""
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return done.exit_code, done.stdout, done.stderr + str(done.exception)


def test_the_command_says_so_as_well(tmp_path: Path) -> None:
    asked = ("simulate", "--env", 'normal:{"mean":[0.5]}', "--policy", "ucb1", "--horizon", 50)
    code, out, err = told(*asked, "--json")
    (run,) = json.loads(out)["runs"]
    assert code == 0 and run["outside"]["range"] == [0.0, 1.0] and 10 < run["outside"]["rewards"] < 50
    assert "warning: policy 'ucb1' is made for rewards in [0, 1]" in err
    assert "warning: policy 'ucb1'" in told(*asked, "--log", tmp_path / "out.jsonl")[2]


def test_a_log_with_rewards_outside_is_refused_and_counted(tmp_path: Path) -> None:
    file = tmp_path / "table.jsonl"
    rows = [{"action": i % 2, "reward": (i * 3) % 10 - 2.5, "propensity": 0.5} for i in range(20)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for command in (("replay", file, "--policy"), ("evaluate", file, "--target")):
        code, out, err = told(*command, "thompson_beta")
        assert code == 1 and not out
        assert "policy 'thompson_beta' is made for rewards in a range, and of the log 18 of 20 rewards lie" in err
        assert "outside of [0, 1], the least is -2.5 and the greatest 6.5: state the range that they have by" in err
        assert told(*command, "thompson_any")[0] == 0
        assert told(*command, "thompson_beta", "--reward-range", "-3:7")[0] == 0
        assert told(*command, "thompson_beta", "--reward-range", "-2:7")[0] == 1


def test_an_export_says_in_what_range_its_rewards_lie(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    told("simulate", "--env", f"scaled:{json.dumps(SCALED)}", "--policy", "uniform", "--horizon", 40, "--log", file)
    assert json.loads(file.read_text().splitlines()[0])["experiment"]["reward"] == {"range": [-5.0, 11.0]}
    code, out, err = told("replay", file, "--policy", "thompson_beta", "--json")
    assert code == 0, err
    other = tmp_path / "out.parquet"
    assert told("convert", file, other)[0] == 0
    again = told("replay", other, "--policy", "thompson_beta", "--json")[1]
    assert json.loads(again)["estimates"] == json.loads(out)["estimates"]


def test_an_experiment_in_a_declared_range_verifies_in_its_database_and_its_exports(tmp_path: Path) -> None:
    with Served(tmp_path) as served:
        served.create("euros", policy={"name": "kl_ucb"}, reward={"range": list(EUROS)})
        for t in range(12):
            served.decide({"decision_id": f"d{t}"}, "euros")
            served.reward(f"d{t}", float(t * 7 % 20 - 5), "euros")
        url = served.url
    assert told("verify", "--database", url)[0] == 0
    for ending in ("jsonl", "parquet"):
        file = tmp_path / f"out.{ending}"
        assert told("export", "euros", file, "--database", url)[0] == 0
        (found,) = json.loads(told("verify", file, "--json")[1])["experiments"]
        assert (found["decisions"], found["first_difference"]) == (12, None)
        assert told("replay", file, "--policy", "thompson_beta", "--json")[0] == 0
