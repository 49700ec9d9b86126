"""Changes that were found are a fact of the state: every interface tells the same list of them."""

from __future__ import annotations

import gymnasium
import msgspec
import numpy as np
import pytest
from support.direct import Direct
from support.every_run import every_run
from support.interfaces import SEED, Http, Loop, Python, Run, walk

from onearm.api import gym
from onearm.api.experiment.worlds import as_found
from onearm.api.gym.envs import BanditEnv
from onearm.engine import loop, snapshot
from onearm.engine.changes.worlds import changes_of
from onearm.engine.draws import POLICY, run_key
from onearm.engine.simulation import Simulation, simulate
from onearm.engine.vocabulary import Change, Environment
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

pytestmark = pytest.mark.usefixtures("coarse_quadrature")
INSIDE = {"name": "bernoulli", "params": {"mean": [0.1, 0.9]}}
SWITCHING = envs.make("switching", env=INSIDE, at=[90], shift=1)
LATE = envs.make("delayed", env={"name": "switching", "params": {"env": INSIDE, "at": [90], "shift": 1}}, delay=3)
ADAPTIVE = 'adaptive:{"policy":"exp3_ix"}'
FLOORED = 'floor:{"policy":{"name":"adaptive","params":{"policy":"exp3_ix"}},"minimum":0.02}'
STEPS = 160


def simulated(name: str, world: Environment, steps: int) -> list[Change]:
    """Return the changes of the run that `Run` logs, made without a log."""
    found = simulate(policies.parse(name), world, horizon=steps, seed=SEED).changes
    assert found is not None
    return found[0]


@pytest.mark.parametrize(("name", "env"), [(ADAPTIVE, "switching"), (ADAPTIVE, "late"), (FLOORED, "switching")])
def test_every_interface_finds_the_changes_of_the_simulation(name: str, env: str, client: Direct) -> None:
    world, steps = (SWITCHING, STEPS) if env == "switching" else (LATE, STEPS + 1)  # another experiment in the service
    run = Run(name, world, steps)
    found = simulated(name, world, steps)
    (change,) = found
    assert 90 <= change.place <= 120 and change.cause == "found"
    replayed, folded = run.fresh(), run.fresh()
    loop.replay(run.policy.params, replayed, run.key, run.log)
    loop.fold(run.policy.params, folded, run.key, run.log, None, None)
    again = snapshot.unpack([snapshot.pack(folded)], run.fresh())
    one, python, http = Loop(run), Python(run), Http(run, client)
    for interface in (one, python, http):
        walk(run, interface)
    for state in (replayed, folded, again, one.state):
        assert changes_of(run.policy, state) == found
    assert python.engine.changes == found
    told = client.get(f"/v1/experiments/{http.id}/diagnostics").json()
    assert told["changes"] == msgspec.to_builtins(as_found(found))
    assert told["model"] == change.model


def test_gymnasium_finds_the_changes_of_the_simulation() -> None:
    """Its episode has a nature of its own, from the seed of `reset`."""
    nature = int(gymnasium.utils.seeding.np_random(SEED)[0].integers(2**63))
    run = Simulation(policies.parse(ADAPTIVE), SWITCHING, horizon=STEPS, seed=nature)
    run.run = run_key(SEED, 0, POLICY)
    run.advance(STEPS)
    env = BanditEnv(SWITCHING, STEPS)
    course = gym.run(ADAPTIVE, env, steps=STEPS, seed=SEED)
    assert snapshot.digest(course.state) == snapshot.digest(run.state)
    assert course.changes == run.changes and len(run.changes) == 1


def test_what_is_said_counts_alike_in_python_and_over_http(client: Direct) -> None:
    run = Run(ADAPTIVE, SWITCHING, 40)
    python, http = Python(run), Http(run, client)
    for interface in (python, http):
        walk(run, interface)
    say(python, http)
    assert [change.cause for change in python.engine.changes] == ["said", "said", "taken_back", "said"]


def say(python: Python, http: Http) -> None:
    """Say the same through both, and decide and learn in between."""
    available = np.ones(2, np.bool_)
    words = [
        (python.engine.world_changed, {"change": "known"}),
        (lambda: python.engine.world_changed(model=0), {"change": "known", "model": 0}),
        (python.engine.false_alarm, {"change": "false", "number": len(python.engine.changes) + 2}),
        (python.engine.world_changed, {"change": "known"}),
    ]
    for call, body in words:
        call()
        told = http.client.post(f"/v1/experiments/{http.id}/world", json=body)
        assert told.status_code == 201, told.text
        assert told.json()["changes"] == msgspec.to_builtins(as_found(python.engine.changes))
        for _ in range(8):
            number = python.engine.number
            made = [interface.decide(number, np.zeros(0), available) for interface in (python, http)]
            assert made[0] == made[1]
            for interface in (python, http):
                interface.learn(number, float(number % 3 == 0), np.zeros(0))
        assert python.digest() == http.digest()


@pytest.mark.jit
@pytest.mark.usefixtures("entries_are_compiled")
@pytest.mark.parametrize("name", every_run([ADAPTIVE], []))  # 7 s; the tiers of adaptive are compared in every run
def test_compiled_interfaces_find_the_changes_of_the_compiled_simulation(name: str, client: Direct) -> None:
    run = Run(name, SWITCHING, STEPS + 2)  # another experiment in the service
    found = simulated(name, SWITCHING, STEPS + 2)
    python, http = Python(run), Http(run, client)
    for interface in (python, http):
        walk(run, interface)
    assert python.engine.changes == found and len(found) == 1
    say(python, http)
