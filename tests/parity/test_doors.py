"""Why one can trust the house: every door makes the same decisions, to the last bit.

A simulation writes a log. The log is then walked, event by event, through each of the other doors: every decision must
come out with the logged action and propensity, and after the last event the state must have the same digest.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import golden
import gymnasium
import numpy as np
import pytest
from starlette.testclient import TestClient
from support.quadratures import fewer
from support.vector_worlds import tide
from support.witness import witness
from support.worlds import squall

import onearm
from onearm.api import gym
from onearm.api.experiment.spec import Spec
from onearm.api.gym.envs import BanditEnv
from onearm.api.http.app import create_app
from onearm.api.kinds.vectors.feedback import Told, feedback_on
from onearm.engine import loop, snapshot
from onearm.engine.columns import empty, every_mask, rewarded, take
from onearm.engine.contexts import context_at
from onearm.engine.domain import ball, box, product, simplex
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.protocol import certifies
from onearm.engine.replay.matching import match
from onearm.engine.simulation import Simulation, problem_of
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import (
    DECIDE,
    Array,
    Columns,
    Decision,
    Environment,
    Feedback,
    Instance,
    Key,
    Policy,
    Problem,
)
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

pytestmark = pytest.mark.usefixtures("few_cosines")
SEED = 7
NAMES = [*golden.names("arm"), "witness"]
STREAMERS = golden.names("move")
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
    "stream": envs.make("arm_stream", arms=30),
}
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

COMPILED_OF_VECTORS = [  # gradients, losses, forecasts: what is compiled for these takes some ten seconds each
    ("optimistic_ftrl", "sea"),
    ("optimistic_hedge", "even experts"),
    (FORECASTER, "tide"),
]


class Run:
    """A policy simulated for `steps` decisions, with its log, the digest of its last state and what it proves."""

    def __init__(self, name: str, env: Environment, steps: int) -> None:
        self.policy: Policy = golden.specimen(name) if ":" not in name else policies.parse(name)
        self.problem = problem_of(env, steps)
        simulation = Simulation(self.policy, env, horizon=steps, seed=SEED)
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
            named = hashlib.sha256(repr((self.policy.spec, problem)).encode()).hexdigest()
            return {"experiment_id": named, "policy": self.policy.spec, "problem": problem, "seed": SEED}
        return {
            "experiment_id": f"{self.policy.name}-{length}",
            "policy": self.policy.spec,
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
    """`onearm.open`."""

    def __init__(self, run: Run) -> None:
        spec = run.spec()
        self.engine = onearm.open(
            policy=spec["policy"],
            arms=[arm["id"] for arm in spec["arms"]],
            context=run.problem.context_shape[0],
            seed=SEED,
            horizon=run.problem.horizon,
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

    def __init__(self, run: Run, client: TestClient) -> None:
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

    def __init__(self, run: Run) -> None:
        problem, spec = run.problem, run.spec()
        self.hints = "context" in str(spec["policy"])
        self.told = told_of(run)
        given: dict[str, Any] = {"horizon": problem.horizon, "seed": SEED, "feedback": problem.feedback}
        if not self.hints:
            given["context"] = problem.context_shape[0]
        self.engine = onearm.open(spec["policy"], domain=problem.domain, **given)

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

    def __init__(self, run: Run, client: TestClient) -> None:
        super().__init__(run, client)
        self.hints = "context" in str(run.policy.spec)
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


@pytest.fixture(autouse=True)
def _witness_in_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "_outside", {"witness": witness})


@pytest.fixture(scope="session")  # compiled, the tests of a policy run one after another, whatever file they are in
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('doors')}/run.db")
    with TestClient(create_app(store)) as client:
        yield client


def walk(run: Run, door: Any) -> None:
    """Take the events of the log through a door and compare."""
    log = run.log
    masks = every_mask(log)
    for row, number in enumerate(log.number.tolist()):
        if log.kind[row] == DECIDE:
            action, propensity = door.decide(number, context_at(log.context, row), masks[row])
            assert np.array_equal(action, log.action[row]), f"decision {number}"
            assert bits(propensity) == bits(log.propensity[row]), f"decision {number}"
        else:
            door.learn(number, float(log.reward[row]), log.detail[row])
    assert door.digest() == run.digest


def walk_of_vectors(run: Run, door: Any) -> None:
    """Take the events of the log through a door and compare, and what it proves of them at the end."""
    walk(run, door)
    assert [bits(number) for number in door.certificate()] == [bits(number) for number in run.certificate]


def bits(value: float) -> str:
    return float(value).hex()


def assert_replay_and_fold_agree(run: Run) -> None:
    replayed, folded = run.fresh(), run.fresh()
    assert loop.replay(run.policy.params, replayed, run.key, run.log) == -1
    loop.fold(run.policy.params, folded, run.key, run.log)
    assert snapshot.digest(replayed) == snapshot.digest(folded) == run.digest
    for state in (replayed, folded) if certifies(run.policy.params) else ():
        assert tuple(loop.certificate(run.policy.params, state)) == tuple(run.certificate)


def fitting(*worlds: str) -> list[tuple[str, str]]:
    """Return the names of the policies that read what a world shows, each with the world's."""
    return [(name, world) for world in worlds for name in NAMES if fits(name, world)]


def fits(name: str, world: str) -> bool:
    policy = witness() if name == "witness" else golden.specimen(name)
    try:
        check_fit(policy, WORLDS[world].problem)
    except InvalidInput:
        return False
    return world != "gust" or policy.context_length_max is not None


@pytest.mark.parametrize(("name", "world"), fitting("bernoulli", "delayed", "squall", "gust"))
def test_replay_fold_one_at_a_time_and_python_decide_as_the_simulation(name: str, world: str) -> None:
    run = Run(name, WORLDS[world], fewer(name, 60))
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))
    walk(run, Python(run))


@pytest.mark.parametrize(("name", "world"), fitting("actions", "named"))
def test_replay_fold_and_one_at_a_time_decide_as_the_simulation_on_features_of_actions(name: str, world: str) -> None:
    run = Run(name, WORLDS[world], fewer(name, 40))
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))


@pytest.mark.parametrize("name", STREAMERS)
def test_replay_fold_and_one_at_a_time_decide_as_the_simulation_on_a_stream(name: str) -> None:
    run = Run(name, WORLDS["stream"], TRIALS)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))


@pytest.mark.parametrize(("name", "world"), OF_VECTORS)
def test_every_door_decides_vectors_as_the_simulation(name: str, world: str, client: TestClient) -> None:
    """Points, digests and certificates; what is told is the loss there, and the reward here."""
    run = Run(name, WORLDS[world], 40)
    assert_replay_and_fold_agree(run)
    walk_of_vectors(run, Loop(run))
    walk_of_vectors(run, PythonOfVectors(run))
    walk_of_vectors(run, HttpOfVectors(run, client))


@pytest.mark.parametrize(("name", "world"), [case for case in OF_VECTORS if case[1] in PROMPT])
def test_gymnasium_decides_vectors_as_the_simulation(name: str, world: str) -> None:
    """Its episode has a nature of its own, from the seed of `reset`, and knows no late feedback."""
    env, steps = WORLDS[world], 40
    nature = int(gymnasium.utils.seeding.np_random(SEED)[0].integers(2**63))
    simulation = Simulation(policies.parse(name), env, horizon=steps, seed=nature)
    log = simulation.advance_logged(steps)
    decided, learned = log.kind == DECIDE, log.kind != DECIDE
    course = gym.run(name, BanditEnv(env.name, steps, **env.spec["params"]), steps=steps, seed=SEED)
    assert course.action.tobytes() == log.action[decided].tobytes()
    assert course.reward.tobytes() == log.reward[learned].tobytes()
    assert snapshot.digest(course.state) == snapshot.digest(simulation.state)
    assert course.certificate == simulation.certificate


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("name", "world", "steps"),
    [("witness", "squall", 40), ("witness", "actions", 40), ("witness", "named", 40), ("early_drop", "stream", TRIALS)]
    + [(name, world, 40) for name, world in OF_VECTORS],
)
def test_a_log_that_was_exported_is_replayed_to_the_same_state(
    form: str, name: str, world: str, steps: int, tmp_path: Path
) -> None:
    run = Run(name, WORLDS[world], steps)
    module = importlib.import_module(f"onearm.engine.storage.formats.{form}")
    with module.Writer(tmp_path / "log", run.problem, {}) as out:
        out.write(run.log)
    read = module.read(tmp_path / "log")
    assert read.problem == run.problem
    state = run.fresh()
    assert loop.replay(run.policy.params, state, run.key, read.events) == -1
    assert snapshot.digest(state) == run.digest


@pytest.mark.parametrize("world", ["actions", "named"])
def test_a_policy_can_be_matched_with_a_log_of_features_of_actions(world: str) -> None:
    """Uniform takes each available action with the same probability, and draws by the row's number."""
    run = Run("uniform", WORLDS[world], 30)
    rows = rewarded(run.log)
    found = match(golden.specimen("uniform"), run.problem, rows, seed=SEED)
    available = every_mask(rows)
    np.testing.assert_array_equal(found.target, 1.0 / available.sum(axis=1))


@pytest.mark.parametrize(("name", "world"), fitting("bernoulli", "squall", "gust"))
def test_the_service_decides_as_the_simulation(name: str, world: str, client: TestClient) -> None:
    run = Run(name, WORLDS[world], fewer(name, 30))
    walk(run, Http(run, client))


@pytest.mark.jit
@pytest.mark.parametrize("name", NAMES)
def test_compiled_doors_decide_as_the_compiled_simulation(name: str, client: TestClient) -> None:
    run = Run(name, WORLDS["bernoulli"], 300)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))
    walk(run, Python(run))
    short = Run(name, WORLDS["bernoulli"], 30)
    walk(short, Http(short, client))


@pytest.mark.jit
@pytest.mark.parametrize("name", STREAMERS)
def test_compiled_doors_decide_as_the_compiled_simulation_on_a_stream(name: str) -> None:
    run = Run(name, WORLDS["stream"], TRIALS)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))


@pytest.mark.jit
@pytest.mark.parametrize(("name", "world"), COMPILED_OF_VECTORS)
def test_compiled_doors_decide_vectors_as_the_compiled_simulation(name: str, world: str, client: TestClient) -> None:
    run = Run(name, WORLDS[world], 300)
    assert_replay_and_fold_agree(run)
    walk_of_vectors(run, Loop(run))
    walk_of_vectors(run, PythonOfVectors(run))
    short = Run(name, WORLDS[world], 41)
    walk_of_vectors(short, HttpOfVectors(short, client))


@pytest.mark.jit
@pytest.mark.parametrize(
    ("name", "world"), [("exp3_ix", "squall"), ("witness", "squall"), ("thompson_beta", "delayed")]
)
def test_compiled_doors_agree_on_contexts_masks_and_late_rewards(name: str, world: str) -> None:
    run = Run(name, WORLDS[world], 300)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))
    walk(run, Python(run))


@pytest.mark.jit
@pytest.mark.parametrize(
    ("name", "world"), [("witness", "actions"), ("witness", "named"), ("squarecb", "named"), ("linucb", "actions")]
)
def test_compiled_doors_agree_on_features_of_actions(name: str, world: str) -> None:
    run = Run(name, WORLDS[world], 300)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))
    replayed = match(run.policy, run.problem, rewarded(run.log), seed=SEED)
    assert replayed.agrees.sum() > 0


def test_the_worlds_show_what_the_doors_are_tried_with() -> None:
    """An oracle of the oracle: contexts change, masks exclude, rewards come late and out of order."""
    log = Run("uniform", WORLDS["squall"], 100).log
    decided = log.kind == DECIDE
    assert len(np.unique(log.context[decided], axis=0)) == 100
    assert not log.available[decided].all(axis=1).all()
    learned = log.number[~decided]
    assert 90 <= len(learned) < 100
    assert (np.diff(learned) < 0).any()
    tidal = Run("optimistic_ftrl", WORLDS["tide"], 100).log
    learned = tidal.number[tidal.kind != DECIDE]
    assert 90 <= len(learned) < 100
    assert (np.diff(learned) < 0).any()
    assert len(np.unique(tidal.context[tidal.kind == DECIDE], axis=0)) == 100
    assert len(np.unique(tidal.action[tidal.kind == DECIDE], axis=0)) > 60


def test_the_experiment_of_the_service_and_the_simulation_draw_from_one_run() -> None:
    run = Run("uniform", WORLDS["bernoulli"], 1)
    assert Spec.from_json(run.spec()).run == run.key


@pytest.mark.parametrize("column", ["action", "propensity"])
def test_a_decision_that_differs_is_named_by_replay(column: str) -> None:
    run = Run("exp3_ix", WORLDS["squall"], 50)
    log = copy.deepcopy(run.log)
    row = int(np.flatnonzero(log.kind == DECIDE)[20])
    changed: Array = getattr(log, column)
    if column == "action":
        changed[row] = (changed[row] + 1) % run.problem.n_arms
    else:
        changed[row] = np.nextafter(changed[row], 1.0)
    assert loop.replay(run.policy.params, run.fresh(), run.key, log) == row


def test_a_log_can_be_replayed_in_pages() -> None:
    run = Run("ucb1", WORLDS["squall"], 60)
    state = run.fresh()
    for start in range(0, len(run.log.kind), 17):
        page: Columns = take(run.log, slice(start, start + 17))
        assert loop.replay(run.policy.params, state, run.key, page) == -1
    assert loop.replay(run.policy.params, state, run.key, empty(0, run.problem)) == -1
    assert snapshot.digest(state) == run.digest


def test_what_is_added_up_outside_of_kernels_has_the_same_bits_on_every_python() -> None:
    """`sum` compensates from Python 3.12 on; what it gave would differ there in the last bit."""
    wide = box([-0.1] * 10, [0.3] * 10)
    assert wide.diameter.hex() == "0x1.43d1362484910p+0"
    many = product(*(ball(1, 0.1 * radius) for radius in range(1, 26)), simplex(3, 0.7))
    assert (many.diameter.hex(), many.reach.hex()) == ("0x1.dcc48d8077c4cp+3", "0x1.dd1e53848c1b2p+2")
    problem = Problem(0, domain=wide, feedback="losses")
    assert feedback_on(problem, np.full(10, 0.1), Told(losses=[-1.0] * 10)).reward == 0.9999999999999999


def assert_golden(name: str) -> None:
    wrong = golden.difference(name, golden.read().get(name), golden.entry(golden.specimen(name)))
    assert wrong is None, wrong


@pytest.mark.parametrize("name", policies.names())
def test_golden_decisions_without_the_jit(name: str) -> None:
    assert_golden(name)


@pytest.mark.jit
@pytest.mark.parametrize("name", policies.names())
def test_golden_decisions_with_the_jit(name: str) -> None:
    """The same file for both: compiled and plain Python decide the same, to the bit."""
    assert_golden(name)


def test_golden_holds_no_policy_that_is_gone() -> None:
    assert sorted([*golden.read(), "witness"]) == policies.names()


def test_a_change_of_bits_without_a_new_version_is_refused() -> None:
    now = {"version": 1, "decisions": "b", "state": "s"}
    assert golden.difference("ucb1", dict(now), now) is None
    assert "does not know" in str(golden.difference("ucb1", None, now))
    assert "bump `version` in policies/arms/ucb1.py" in str(golden.difference("ucb1", now | {"decisions": "a"}, now))
    assert "decisions and state of" in str(golden.difference("ucb1", now | {"decisions": "a", "state": "t"}, now))
    assert "run `python tests/golden.py`" in str(golden.difference("ucb1", now | {"version": 0}, now))


def test_rewriting_keeps_the_entry_of_a_policy_that_changed_without_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(golden, "FILE", tmp_path / "golden.json")
    monkeypatch.setattr(golden, "STEPS", 10)
    monkeypatch.setattr(policies, "names", lambda: ["ucb1", "uniform"])
    golden.FILE.write_text('{"ucb1": {"version": 1, "decisions": "a", "state": "s"}, "gone": {}}')
    assert golden.main() == 1
    written = golden.read()
    assert written["ucb1"]["decisions"] == "a"
    assert list(written) == ["ucb1", "uniform"]
    assert "bump `version`" in capsys.readouterr().err
    golden.FILE.write_text('{"ucb1": {"version": 0, "decisions": "a", "state": "s"}}')
    assert golden.main() == 0
    assert golden.main() == 0
    assert golden.read()["uniform"] == written["uniform"]
