"""Why one can trust the house: every interface makes the same decisions, to the last bit.

A simulation writes a log. The log is then walked, event by event, through each of the other interfaces: every decision
must come out with the logged action and propensity, and after the last event the state must have the same digest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import golden
import gymnasium
import numpy as np
import pytest
from support.direct import Direct
from support.every_run import every_run
from support.interfaces import (
    FORECASTER,
    OF_VECTORS,
    PROMPT,
    SEED,
    TRIALS,
    WORLDS,
    Http,
    HttpOfVectors,
    Loop,
    Python,
    PythonOfVectors,
    Run,
    assert_replay_and_fold_agree,
    walk,
    walk_of_vectors,
)
from support.quadratures import fewer
from support.witness import witness

from onearm.api import gym
from onearm.api.experiment.spec import Spec
from onearm.api.gym.envs import BanditEnv
from onearm.engine import snapshot
from onearm.engine.changes.worlds import seen_by
from onearm.engine.columns import rewarded
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.protocol import marks
from onearm.engine.replay.matching import match
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE
from onearm.policies import catalog as policies

pytestmark = pytest.mark.usefixtures("few_cosines", "coarse_quadrature", "witness_in_the_catalogue")
NAMES = [*golden.names("arm"), "witness"]
STREAMERS = golden.names("move")

WAITING = [
    'ucb1:{"wait":2}',
    'kl_ucb:{"wait":2}',
    'fourier_ucb:{"wait":2}',
    'floor:{"minimum":0.05,"policy":{"name":"ucb1","params":{"wait":2}}}',
]
COMPILED_OF_VECTORS = [  # gradients at once, losses, gradients that come late with forecasts: 4 to 7 s each
    ("optimistic_ftrl", "sea"),
    ("optimistic_hedge", "even experts"),
    (FORECASTER, "tide"),
]


def in_a_file(folder: Path) -> dict[str, Any]:
    """Return what opens an engine with a log."""
    return {"database": f"sqlite:///{folder}/run.db", "experiment": "e", "commit": 50}


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


# In squall contexts change, arms are missing and rewards come late. In the plain worlds, where there is no context,
# these stand for all that are tried in squall.
PLAIN = ("ucb1", "exp3_ix", "witness")

# Every policy is tried by the loop and in Python, and of each shape of law one at the service and with a log, which are
# given what a policy said and do not ask how it came about: none, from weights, by quadrature, of a model, of a policy
# inside, of a policy that others wrote.
AT_EVERY_DOOR = [
    ("ucb1", "squall"),
    ("exp3_ix", "squall"),
    ("thompson_beta", "squall"),
    ("squarecb", "squall"),
    ("sticky", "squall"),
    ("witness", "squall"),
    ("chebcb", "gust"),
]


def most(*worlds: str) -> list[Any]:
    """Return what `fitting` does, and leave to `make test-all` what squall shows of a policy as well."""
    cases = fitting(*worlds)
    return every_run(
        cases, [(n, w) for n, w in cases if w in ("squall", "gust") or n in PLAIN or not fits(n, "squall")]
    )


@pytest.mark.parametrize(("name", "world"), most("bernoulli", "delayed", "squall", "gust"))
def test_replay_fold_one_at_a_time_and_python_decide_as_the_simulation(name: str, world: str) -> None:
    run = Run(name, WORLDS[world], fewer(name, 30))
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))
    walk(run, Python(run))


@pytest.mark.parametrize(("name", "world"), every_run(fitting("squall", "gust"), AT_EVERY_DOOR))
def test_an_engine_with_a_log_decides_as_the_simulation(name: str, world: str, tmp_path: Path) -> None:
    run = Run(name, WORLDS[world], fewer(name, 30))
    walk(run, Python(run, **in_a_file(tmp_path)))


@pytest.mark.parametrize(("name", "world"), fitting("actions", "named"))
def test_replay_fold_and_one_at_a_time_decide_as_the_simulation_on_features_of_actions(name: str, world: str) -> None:
    run = Run(name, WORLDS[world], fewer(name, 30))
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))


@pytest.mark.parametrize(("name", "world"), fitting("river"))
def test_replay_fold_and_one_at_a_time_decide_as_the_simulation_in_states(name: str, world: str) -> None:
    run = Run(name, WORLDS[world], fewer(name, 40))
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))


@pytest.mark.covering
@pytest.mark.parametrize("world", ["delayed", "squall"])
@pytest.mark.parametrize("name", WAITING)
def test_decisions_that_are_awaited_count_alike_at_every_interface(name: str, world: str, client: Direct) -> None:
    """The longest delay is more than they count, so that some no longer do when their feedback comes."""
    run = Run(name, WORLDS[world], 30)
    assert marks(run.policy.params)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))
    walk(run, Python(run))
    walk(run, Http(run, client))


ADAPTIVE = [
    'adaptive:{"policy":"kl_ucb","look":0.05}',
    'floor:{"policy":{"name":"adaptive","params":{"policy":"thompson_any"}},"minimum":0.05}',
]


@pytest.mark.parametrize("name", ADAPTIVE)
def test_changes_are_found_alike_at_every_interface(name: str, client: Direct) -> None:
    """Feedback comes late, and some of it belongs to the world before."""
    run = Run(name, WORLDS["turning"], 180)
    assert_replay_and_fold_agree(run)
    by_loop = Loop(run)
    walk(run, by_loop)
    walk(run, Python(run))
    state = by_loop.state.inner if name.startswith("floor") else by_loop.state
    assert len(seen_by(state.worlds)) >= 1
    walk(run, Http(run, client))


@pytest.mark.parametrize("name", STREAMERS)
def test_replay_fold_and_one_at_a_time_decide_as_the_simulation_on_a_stream(name: str) -> None:
    run = Run(name, WORLDS["stream"], TRIALS)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))


@pytest.mark.parametrize(("name", "world"), every_run(OF_VECTORS, OF_VECTORS[::2]))
def test_every_interface_decides_vectors_as_the_simulation(
    name: str, world: str, client: Direct, tmp_path: Path
) -> None:
    """Points, digests and certificates; what is told is the loss there, and the reward here."""
    run = Run(name, WORLDS[world], 30)
    assert_replay_and_fold_agree(run)
    walk_of_vectors(run, Loop(run))
    walk_of_vectors(run, PythonOfVectors(run))
    walk_of_vectors(run, PythonOfVectors(run, **in_a_file(tmp_path)))
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


@pytest.mark.parametrize(("name", "world"), every_run(fitting("bernoulli", "squall", "gust"), AT_EVERY_DOOR))
def test_the_service_decides_as_the_simulation(name: str, world: str, client: Direct) -> None:
    run = Run(name, WORLDS[world], fewer(name, 30))
    walk(run, Http(run, client))


# Policies and worlds that differ in what could go wrong between compiled loops: a policy in a policy, with a law by a
# routine, which goes on from the one before; a law from weights; a class from outside; late rewards, contexts, masks.
# That the tiers of others agree is shown in test_tiers.py, and that their interfaces do above, as Python.
COMPILED = [("sticky", "delayed"), ("exp3_ix", "squall"), ("witness", "squall")]


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize(("name", "world"), every_run([*COMPILED, *fitting("bernoulli")], COMPILED))
def test_compiled_interfaces_decide_as_the_compiled_simulation(
    name: str, world: str, client: Direct, tmp_path: Path
) -> None:
    run = Run(name, WORLDS[world], 300)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))
    walk(run, Python(run))
    walk(run, Python(run, **in_a_file(tmp_path)))
    short = Run(name, WORLDS[world], 30)
    walk(short, Http(short, client))


@pytest.mark.jit
@pytest.mark.parametrize("name", STREAMERS)
def test_compiled_interfaces_decide_as_the_compiled_simulation_on_a_stream(name: str) -> None:
    run = Run(name, WORLDS["stream"], TRIALS)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize(("name", "world"), every_run(COMPILED_OF_VECTORS, COMPILED_OF_VECTORS[1:]))
def test_compiled_interfaces_decide_vectors_as_the_compiled_simulation(
    name: str, world: str, client: Direct, tmp_path: Path
) -> None:
    run = Run(name, WORLDS[world], 300)
    assert_replay_and_fold_agree(run)
    walk_of_vectors(run, Loop(run))
    walk_of_vectors(run, PythonOfVectors(run))
    walk_of_vectors(run, PythonOfVectors(run, **in_a_file(tmp_path)))
    short = Run(name, WORLDS[world], 41)
    walk_of_vectors(short, HttpOfVectors(short, client))


@pytest.mark.jit
@pytest.mark.parametrize(
    ("name", "world"),
    every_run(
        [("witness", "named"), ("witness", "actions"), ("linucb", "actions"), ("squarecb", "named")],
        [("witness", "named")],
    ),
)
def test_compiled_interfaces_agree_on_features_of_actions(name: str, world: str) -> None:
    run = Run(name, WORLDS[world], 300)
    assert_replay_and_fold_agree(run)
    walk(run, Loop(run))
    replayed = match(run.policy, run.problem, rewarded(run.log), seed=SEED)
    assert replayed.agrees.sum() > 0


def test_the_worlds_show_what_the_interfaces_are_tried_with() -> None:
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
