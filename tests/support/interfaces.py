"""Runs of a policy, and every interface through which the same run can be made."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable
from typing import Any

import golden
import numpy as np
from support.direct import Direct
from support.vector_worlds import tide
from support.worlds import squall

import onearm
from onearm.engine import loop, snapshot
from onearm.engine.columns import every_mask
from onearm.engine.contexts import context_at
from onearm.engine.domain import ball, box, product, simplex
from onearm.engine.protocol import certifies
from onearm.engine.simulation import Simulation, problem_of
from onearm.engine.vocabulary import DECIDE, Array, Decision, Environment, Feedback, Instance, Key, Policy
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

SEED = 7
TIDAL = product(ball(2), box([-0.5], [0.25]))
PLAIN = {"name": "bernoulli", "params": {"mean": [0.2, 0.5, 0.8]}}
MEADOW = {
    "name": "linear",
    "params": {"arms": 4, "dimension": 3, "action_features": True, "min_actions": 2},
}
WORLDS = {
    "bernoulli": envs.from_spec(PLAIN),
    "delayed": envs.make("delayed", env=PLAIN, delay=3, law="geometric"),
    "squall": squall(),  # contexts, masks, late rewards
    "gust": squall(numbers=1),  # the same for policies that read one number
    "actions": envs.make("delayed", env=MEADOW, delay=3, law="geometric"),  # of actions' features
    "named": envs.factory("named")(squall(), bits=8),
    "river": envs.make("river_swim"),  # of states
    "stream": envs.make("arm_stream", arms=30),
}
TURNING = {"name": "switching", "params": {"env": {"name": "bernoulli", "params": {"mean": [0.05, 0.9]}}, "every": 120}}
WORLDS["turning"] = envs.make("delayed", env=TURNING, delay=3, law="geometric")
TRIALS = 20_000  # of the stream: some hundred moves
WORLDS |= {  # of vectors
    "sea": envs.make("sea", dimension=3, domain="ball"),
    "market": envs.make("portfolio", assets=3),
    "experts": envs.make("forecasts", experts=4),
    "even experts": envs.make(
        "forecasts", forecast=[[1.0, 2.0], [1.0, 0.5]] * 30, truth=[1.0, 1.0] * 30
    ),  # losses of 0
    "tide": tide(domain=TIDAL, delay_max=4),  # with forecasts, late
    "tide of losses": tide("losses", simplex(4, 2.0), delay_max=4),
    "tide of rewards": tide("reward", TIDAL, delay_max=4),
    "tide of two": tide("two_rewards", TIDAL, delay_max=4),
}
PROMPT = ("sea", "market", "experts", "even experts")  # feedback at once, in the catalogue
FORECASTER = 'optimistic_omd:{"hint":"context"}'
OF_ONE_POINT = 'point_gradient:{"policy":"optimistic_omd"}'
OF_VECTORS = [
    ("optimistic_ftrl", "sea"),
    ("optimistic_ftrl", "market"),
    ("optimistic_ftrl", "tide"),
    ("optimistic_omd", "tide"),
    (FORECASTER, "tide"),
    (FORECASTER, "tide of losses"),
    ("optimistic_hedge", "experts"),
    ("optimistic_hedge", "even experts"),
    ("optimistic_hedge", "tide of losses"),
    ('optimistic_hedge:{"hint":"context"}', "tide of losses"),
    (OF_ONE_POINT, "tide of rewards"),
    (OF_ONE_POINT, "tide of two"),
]


class Run:
    """A policy simulated for `steps` decisions, with its log, the digest of its last state and what it proves."""

    def __init__(self, name: str, env: Environment, steps: int) -> None:
        asked: Policy = golden.specimen(name) if ":" not in name else policies.parse(name)
        self.asked = asked.spec
        self.problem = problem_of(env, steps)
        simulation = Simulation(asked, env, horizon=steps, seed=SEED)
        self.policy = simulation.policy  # with what was left open until the problem was known
        self.key = simulation.run
        self.log = simulation.advance_logged(steps)
        self.digest = snapshot.digest(simulation.state)
        self.certificate = simulation.certificate

    def fresh(self) -> Any:
        return self.policy.init(self.policy.params, self.problem)

    def spec(self) -> dict[str, Any]:
        """Return the body that creates the same experiment in the service."""
        (length,) = self.problem.context_shape
        context = {"kind": "dense", "length": length} if length else {"kind": "none"}
        if self.problem.domain is not None:
            domain, feedback = self.problem.domain.to_json(), self.problem.feedback
            kind = {"kind": "vector", "domain": domain, "feedback": feedback}
            problem = {**kind, "context": context, "horizon": self.problem.horizon}
            named = hashlib.sha256(repr((self.asked, problem)).encode()).hexdigest()
            return {"experiment_id": named, "policy": self.asked, "problem": problem, "seed": SEED}
        return {
            "experiment_id": hashlib.sha256(repr((self.asked, self.problem)).encode()).hexdigest(),
            "policy": self.asked,
            "arms": [{"id": f"arm-{arm}"} for arm in range(self.problem.n_arms)],
            "problem": {"context": context, "horizon": self.problem.horizon},
            "seed": SEED,
        }


class Loop:
    """The loop, one event at a time."""

    def __init__(self, run: Run) -> None:
        self.run, self.state = run, run.fresh()
        self.open: dict[int, tuple[Instance, Decision]] = {}

    def decide(self, number: int, context: Array, available: Array) -> tuple[Any, float]:
        instance = Instance(number, copy.deepcopy(context), available.copy())
        action, propensity = loop.decide(self.run.policy.params, self.state, instance, Key(self.run.key, number))
        decision = Decision(copy.copy(action), propensity)  # a policy uses the array of its move again
        self.open[number] = (instance, decision)
        return decision

    def learn(self, number: int, reward: float, detail: Array) -> None:
        feedback, key = Feedback(reward, detail), Key(self.run.key, number)
        loop.learn(self.run.policy.params, self.state, *self.open.pop(number), feedback, key)

    def digest(self) -> str:
        return snapshot.digest(self.state)

    def certificate(self) -> tuple[float, float]:
        return tuple(loop.certificate(self.run.policy.params, self.state))


class Python:
    """`onearm.open`, in memory or with a log."""

    def __init__(self, run: Run, **log: Any) -> None:
        spec = run.spec()
        self.engine = onearm.open(
            policy=spec["policy"],
            arms=[arm["id"] for arm in spec["arms"]],
            context=run.problem.context_shape[0],
            seed=SEED,
            horizon=run.problem.horizon,
            **log,
        )

    def decide(self, number: int, context: Array, available: Array) -> tuple[int, float]:
        choice = self.engine.decide(context, [f"arm-{arm}" for arm in np.flatnonzero(available)])
        assert (choice.number, choice.action_id) == (number, f"arm-{choice.action}")
        return choice.action, choice.propensity

    def learn(self, number: int, reward: float, detail: Array) -> None:
        self.engine.learn(number, reward)

    def digest(self) -> str:
        return self.engine.digest()


class Http:
    """The decision service."""

    def __init__(self, run: Run, client: Direct) -> None:
        self.client, self.id = client, run.spec()["experiment_id"]
        answer = client.post("/v1/experiments", json=run.spec())
        assert answer.status_code == 201, answer.text

    def decide(self, number: int, context: Array, available: Array) -> tuple[int, float]:
        body = {
            "context": context.tolist(),
            "eligible_actions": [f"arm-{arm}" for arm in np.flatnonzero(available)],
        }
        answer = self.client.post(f"/v1/experiments/{self.id}/decisions", json=body)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert found["decision_id"] == f"~{number}"
        propensity = found["propensity"]
        return int(found["action_id"].removeprefix("arm-")), math.nan if propensity is None else propensity

    def learn(self, number: int, reward: float, detail: Array) -> None:
        path = f"/v1/experiments/{self.id}/decisions/~{number}/reward"
        assert self.client.post(path, json={"value": reward}).json() == {"status": "accepted"}

    def digest(self) -> str:
        digest: str = self.client.get(f"/v1/experiments/{self.id}").json()["digest"]
        return digest


class PythonOfVectors:
    """`onearm.open` where a vector is decided: what is told is of the loss, and so are forecasts."""

    def __init__(self, run: Run, **log: Any) -> None:
        problem, spec = run.problem, run.spec()
        self.hints = "context" in str(spec["policy"])
        self.told = told_of(run)
        given: dict[str, Any] = {"horizon": problem.horizon, "seed": SEED, "feedback": problem.feedback}
        if not self.hints:
            given["context"] = problem.context_shape[0]
        self.engine = onearm.open(spec["policy"], domain=problem.domain, **given, **log)

    def decide(self, number: int, context: Array, available: Array) -> tuple[Array, float]:
        choice = self.engine.decide(hint=0.0 - context) if self.hints else self.engine.decide(context)
        assert choice.number == number
        return choice.point.reshape(-1), choice.propensity

    def learn(self, number: int, reward: float, detail: Array) -> None:
        self.engine.learn(number, **self.told(reward, detail))

    def digest(self) -> str:
        return self.engine.digest()

    def certificate(self) -> tuple[float, float]:
        return tuple(self.engine.certificate)


class HttpOfVectors(Http):
    """The decision service where a vector is decided."""

    def __init__(self, run: Run, client: Direct) -> None:
        super().__init__(run, client)
        self.hints = "context" in str(run.asked)
        self.told = told_of(run)

    def decide(self, number: int, context: Array, available: Array) -> tuple[Array, float]:
        body = {"hint": (0.0 - context).tolist()} if self.hints else {"context": context.tolist()}
        answer = self.client.post(f"/v1/experiments/{self.id}/decisions", json=body)
        assert answer.status_code == 201, answer.text
        found = answer.json()
        assert found["decision_id"] == f"~{number}"
        return np.ravel(found["point"] if "point" in found else found["points"]), nan_of(found["propensity"])

    def learn(self, number: int, reward: float, detail: Array) -> None:
        told = {name: np.asarray(value).tolist() for name, value in self.told(reward, detail).items()}
        if "loss" in told:
            told["values" if len(detail) == 2 and "gradient" not in told else "value"] = told.pop("loss")
        path = f"/v1/experiments/{self.id}/decisions/~{number}/reward"
        answer = self.client.post(path, json={"detail": told})
        assert answer.json() == {"status": "accepted"}, answer.text

    def certificate(self) -> tuple[float, float]:
        found = self.client.get(f"/v1/experiments/{self.id}/diagnostics").json()
        return nan_of(found["certificate"]), nan_of(found["variation"])


def told_of(run: Run) -> Callable[[float, Array], dict[str, Any]]:
    """Return what a person tells who knows losses, of a reward and its detail: every sign is turned."""

    def told(reward: float, detail: Array) -> dict[str, Any]:
        if run.problem.feedback == "losses":
            return {"losses": 0.0 - detail}  # their value follows
        if run.problem.feedback == "two_rewards":
            return {"loss": 0.0 - detail}
        return {"loss": -reward} | ({"gradient": 0.0 - detail} if len(detail) else {})

    return told


def nan_of(value: float | None) -> float:
    return math.nan if value is None else value


def walk(run: Run, interface: Any) -> None:
    """Take the events of the log through an interface and compare."""
    log = run.log
    masks = every_mask(log)
    for row, number in enumerate(log.number.tolist()):
        if log.kind[row] == DECIDE:
            action, propensity = interface.decide(number, context_at(log.context, row), masks[row])
            assert np.array_equal(action, log.action[row]), f"decision {number}"
            assert bits(propensity) == bits(log.propensity[row]), f"decision {number}"
        else:
            interface.learn(number, float(log.reward[row]), log.detail[row])
    assert interface.digest() == run.digest


def walk_of_vectors(run: Run, interface: Any) -> None:
    """Take the events of the log through an interface and compare, and what it proves of them at the end."""
    walk(run, interface)
    assert [bits(number) for number in interface.certificate()] == [bits(number) for number in run.certificate]


def bits(value: float) -> str:
    return float(value).hex()


def assert_replay_and_fold_agree(run: Run) -> None:
    replayed, folded = run.fresh(), run.fresh()
    assert loop.replay(run.policy.params, replayed, run.key, run.log) == -1
    loop.fold(run.policy.params, folded, run.key, run.log, None, None)
    assert snapshot.digest(replayed) == snapshot.digest(folded) == run.digest
    for state in (replayed, folded) if certifies(run.policy.params) else ():
        assert tuple(loop.certificate(run.policy.params, state)) == tuple(run.certificate)
