"""A policy from outside the package works in every interface: by a file, or by another distribution's entry point."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import onearm
from onearm.api import gym
from onearm.api.cli.main import run
from onearm.engine.errors import InvalidInput, NotFound
from onearm.engine.kernel import KERNELS, is_outside
from onearm.engine.registry import Registry
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Policy
from onearm.envs import catalog as envs
from onearm.policies import catalog

MINE = '''"""{title}: play the arms in turn."""

from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Decision, Policy


class {title}Params(NamedTuple):
    step: int


class {title}State(NamedTuple):
    learned: np.ndarray


def {name}(step: int = 1) -> Policy:
    """Play the arms in turn, `step` further each time."""
    return Policy("{name}", {title}Params(step), init)


def init(params, problem):
    return {title}State(np.zeros(1))


@kernel
def select(params, state, instance, key):
    return Decision((instance.t * params.step) % len(instance.available), 1.0)


@kernel
def update(params, state, instance, decision, feedback, key):
    state.learned[0] += feedback.reward


register_policy({title}Params, select=select, update=update)
'''

OF_VECTORS = '''"""Ascent: go up along each gradient of the reward, by steps of one length."""

from typing import NamedTuple

import numpy as np

from onearm.engine.domain import Region
from onearm.engine.kernel import kernel
from onearm.engine.vectors.projection import project
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Certificate, Decision, Policy


class AscentParams(NamedTuple):
    step: float


class AscentState(NamedTuple):
    point: np.ndarray
    region: Region
    scratch_point: np.ndarray


def ascent(step: float = 0.125) -> Policy:
    """Go up."""
    return Policy("ascent", AscentParams(step), init, actions=("vector",), feedbacks=("gradient",))


def init(params, problem):
    return AscentState(problem.domain.start, problem.domain.region(), np.zeros(problem.dimension))


@kernel
def select(params, state, instance, key):
    for j in range(len(state.point)):
        state.scratch_point[j] = state.point[j]
    return Decision(state.scratch_point, 1.0)


@kernel
def update(params, state, instance, decision, feedback, key):
    for j in range(len(state.point)):
        state.point[j] += params.step * feedback.detail[j]
    project(state.region, state.point)


@kernel
def certify(params, state):
    return Certificate(7.0, 3.0)


register_policy(AscentParams, select=select, update=update, certify=certify)
'''


def write(folder: Path, name: str, title: str) -> Path:
    file = folder / f"{name}.py"
    file.write_text(MINE.format(name=name, title=title))
    return file


def onearm_in(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "onearm", *arguments],
        cwd=folder,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Take back what comes from outside into this process meanwhile. What the package imports stays imported."""
    kernels, outside = set(KERNELS), dict(catalog._outside)
    yield
    for params_class in set(KERNELS) - kernels:
        if is_outside(params_class):
            del KERNELS[params_class]
    catalog._outside.clear()
    catalog._outside.update(outside)


@pytest.fixture(autouse=True)
def _leave_no_trace() -> Iterator[None]:
    with nothing_left_behind():
        yield


def test_a_file_is_a_policy_like_any_other(tmp_path: Path) -> None:
    assert catalog.add_file(write(tmp_path, "in_turn", "InTurn")) == "in_turn"
    assert "in_turn" in catalog.names()
    made = catalog.parse('in_turn:{"step": 2}')
    assert made.spec == {"name": "in_turn", "params": {"step": 2}}
    curves = simulate(made, envs.make("bernoulli", mean=[0.0, 1.0, 0.0]), horizon=30)
    assert curves.reward[0, -1] == 10
    engine = onearm.open("in_turn", arms=3)
    assert [engine.decide().action for _ in range(4)] == [0, 1, 2, 0]


def test_a_file_may_decide_vectors(tmp_path: Path) -> None:
    """In a simulation, in Python and in Gymnasium it goes to the same points, and is asked what it proves."""
    (tmp_path / "ascent.py").write_text(OF_VECTORS)
    assert catalog.add_file(tmp_path / "ascent.py") == "ascent"
    world = envs.make("sea", dimension=3, noise=0.0, drift=0.0, reach=0.0)  # the slope of the loss is (1, 0, 0)
    half = 1.0 / math.sqrt(3.0)
    walked = [[-0.0, 0.0, 0.0], *([max(-0.25 * t, -half), 0.0, 0.0] for t in range(1, 6))]
    curves = simulate(catalog.parse('ascent:{"step":0.25}'), world, horizon=6)
    assert curves.reward[0, -1] == pytest.approx(-sum(point[0] for point in walked))
    assert (curves.bound[0, -1], curves.variation[0]) == (7.0, 3.0)
    engine = onearm.open('ascent:{"step":0.25}', domain=world.problem.domain)
    course = gym.run('ascent:{"step":0.25}', gymnasium.make("onearm/Sea-v0", **world.spec["params"]), steps=6)
    for point, met in zip(walked, course.action.tolist(), strict=True):
        decision = engine.decide()
        assert decision.point.tolist() == met == point
        engine.learn(decision, gradient=[1.0, 0.0, 0.0])
    assert tuple(engine.certificate) == tuple(course.certificate) == (7.0, 3.0)
    with pytest.raises(InvalidInput, match="'ascent' learns from the gradient of the loss"):
        onearm.open("ascent", domain=world.problem.domain, feedback="losses")


def test_files_that_cannot_be_a_policy_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"there is no Python file .*nobody\.py: name a \.py file that holds a pol"):
        catalog.add_file(tmp_path / "nobody.py")
    (tmp_path / "text.txt").write_text("")
    with pytest.raises(NotFound, match=r"there is no Python file .*text\.txt"):
        catalog.add_file(tmp_path / "text.txt")
    (tmp_path / "ucb1.py").write_text("")
    with pytest.raises(InvalidInput, match=r"a policy 'ucb1' exists already: rename the file .*ucb1\.py"):
        catalog.add_file(tmp_path / "ucb1.py")
    (tmp_path / "empty.py").write_text("other = 1\n")
    with pytest.raises(InvalidInput, match=r"empty\.py has no function empty\(\): the file's name is the policy's"):
        catalog.add_file(tmp_path / "empty.py")
    (tmp_path / "number.py").write_text("number = 1\n")
    with pytest.raises(InvalidInput, match=r"has no function number\(\)"):
        catalog.add_file(tmp_path / "number.py")
    with pytest.raises(InvalidInput, match=r"the class name 'Ucb1Params' of .*mine\.py is taken by .*ucb1\.py: names"):
        catalog.make("ucb1")
        catalog.add_file(write(tmp_path, "mine", "Ucb1"))
    assert not {"nobody", "empty", "number", "mine"} & set(catalog.names())


def test_a_file_that_fails_is_named_with_its_own_error(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def broken(:\n")
    with pytest.raises(InvalidInput, match=r"broken\.py cannot be loaded \(SyntaxError: .*line 1"):
        catalog.add_file(tmp_path / "broken.py")
    (tmp_path / "raising.py").write_text("import no_such_module_anywhere\n")
    with pytest.raises(InvalidInput, match=r"raising\.py cannot be loaded \(ModuleNotFoundError: No module named"):
        catalog.add_file(tmp_path / "raising.py")


def test_a_file_added_twice_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "in_turn", "InTurn")
    catalog.add_file(file)
    with pytest.raises(InvalidInput, match="'in_turn' exists already"):
        catalog.add_file(file)


def test_the_command_line_says_what_is_wrong_with_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["simulate", "--env", "bernoulli", "--policy", "ucb1", "--horizon", "1"]
    assert run([*common, "--policy-file", str(tmp_path / "nobody.py")]) == 2
    assert "onearm: there is no Python file" in capsys.readouterr().err


def test_an_entry_point_is_a_policy_like_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distribute(tmp_path, "spun")
    monkeypatch.syspath_prepend(tmp_path)
    found: Registry[Policy] = Registry("policy", "onearm.policies", Policy)
    assert "spun" in found.names()
    assert found.parse('spun:{"step": 2}').spec == {"name": "spun", "params": {"step": 2}}
    assert onearm.open("spun", arms=2).decide().action == 0


def distribute(folder: Path, name: str) -> None:
    """Lay out an installed distribution with one policy."""
    write(folder, f"module_of_{name}", name.capitalize()).rename(folder / f"{name}_dist.py")
    source = folder / f"{name}_dist.py"
    source.write_text(source.read_text().replace(f"def module_of_{name}", f"def {name}"))
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[onearm.policies]\n{name} = {name}_dist:{name}\n")


@pytest.mark.jit
def test_simulate_takes_a_file_in_a_process_of_its_own_and_compiles_it(tmp_path: Path) -> None:
    file = str(write(tmp_path, "in_turn", "InTurn"))
    simulated = ["simulate", "--env", 'bernoulli:{"mean":[0,1,0]}', "--policy", "in_turn", "--horizon", "300"]
    done = onearm_in(tmp_path, *simulated, "--policy-file", file, "--json")
    assert json.loads(done.stdout)["runs"][0]["reward_mean"] == pytest.approx(1 / 3), done.stderr


def test_a_log_of_a_file_is_replayed_and_verified_with_it_and_not_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, log = str(write(tmp_path, "in_turn", "InTurn")), str(tmp_path / "turn.jsonl")

    def told(*arguments: str) -> tuple[int, str, str]:
        with nothing_left_behind():
            return run([*arguments]), *capsys.readouterr()

    world = ("--env", 'bernoulli:{"mean":[0,1,0]}')
    assert (
        told("simulate", *world, "--policy", "in_turn", "--policy-file", file, "--horizon", "300", "--log", log)[0] == 0
    )
    code, out, err = told("replay", log, "--policy", "in_turn", "--policy-file", file, "--json")
    assert code == 0 and json.loads(out)["estimates"][0]["matched"] == 300, err
    assert told("verify", log, "--policy-file", file)[0] == 0
    code, _, err = told("verify", log)
    assert (code, "there is no policy 'in_turn'" in err) == (2, True)


def test_simulate_takes_an_entry_point_in_a_process_of_its_own(tmp_path: Path) -> None:
    distribute(tmp_path, "spun")
    arguments = ["simulate", "--env", 'bernoulli:{"mean":[0,1]}', "--policy", "spun", "--horizon", "100", "--json"]
    done = onearm_in(tmp_path, *arguments, PYTHONPATH=str(tmp_path))
    assert json.loads(done.stdout)["runs"][0]["reward_mean"] == 0.5, done.stderr


@pytest.mark.jit
def test_serve_takes_a_file_and_goes_on_with_it_after_a_restart(tmp_path: Path) -> None:
    """The second time as Python, which for this policy gives the same bits."""
    file = str(write(tmp_path, "in_turn", "InTurn"))
    command = [sys.executable, "-m", "onearm", "serve", "--port", "0", "--database", "sqlite:///run.db"]
    body = {"experiment_id": "mine", "policy": {"name": "in_turn"}, "arms": [{"id": "a"}, {"id": "b"}, {"id": "c"}]}
    actions = []
    for start in range(2):
        environment = os.environ | {"NUMBA_DISABLE_JIT": str(start)}
        told = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        with subprocess.Popen([*command, "--policy-file", file], cwd=tmp_path, env=environment, **told) as process:
            try:
                address = _address(process)
                if start == 0:
                    _post(f"{address}/v1/experiments", body)
                decisions = f"{address}/v1/experiments/mine/decisions"
                actions += [_post(decisions, {})["action_id"] for _ in range(2)]
            finally:
                process.terminate()
                process.communicate(timeout=20)
    assert actions == ["a", "b", "c", "a"]


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        for word in line.split():
            if word.startswith("http://"):
                return word
    raise AssertionError(process.communicate()[1])


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except urllib.error.HTTPError as error:  # 503 while it compiles
            if error.code != 503 or time.monotonic() > deadline:
                raise AssertionError(error.read().decode()) from None
            time.sleep(0.2)
