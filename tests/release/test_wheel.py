"""The wheel in empty environments, as somebody installs it: each Python that is found, and the lowest versions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.checkouts import ROOT, built

UV = Path(sys.executable).with_name("uv")
PYTHONS = ("3.11", "3.12", "3.13")
COMMANDS = {  # one of each kind of decision
    "arms": ("simulate", "--env", "bernoulli", "--policy", "ucb1", "--horizon", "300"),
    "contexts": ("simulate", "--env", "linear", "--policy", "linucb", "--horizon", "100"),
    "states": ("simulate", "--env", "river_swim", "--policy", "half_visit", "--horizon", "50"),
    "streams": ("simulate", "--env", "arm_stream", "--policy", "game_of_coins", "--horizon", "100"),
    "vectors": ("simulate", "--env", "sea", "--policy", "optimistic_ftrl", "--horizon", "50"),
    "queries": ("simulate", "--env", "best_arm", "--policy", "lucb_budget", "--horizon", "50"),
    "outside": ("simulate", "--policy-file", "mine.py", "--policy", "mine", "--env", "bernoulli", "--horizon", "300"),
    "plugin": ("simulate", "--policy", "toy", "--env", "bernoulli", "--horizon", "50"),
}
GYM = """
import gymnasium
import onearm.gym

env = gymnasium.make("onearm/Bernoulli-v0")
env.reset(seed=1)
print(env.step(0)[1] in (0.0, 1.0))
"""
SERVICE = """
import json, os, signal, subprocess, sys, time, urllib.request

def call(path, body):
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode())
    return json.load(urllib.request.urlopen(request))

service = subprocess.Popen(
    [sys.executable, "-m", "onearm", "serve", "--port", "0", "--database", "sqlite:///run.db"],
    stdout=subprocess.PIPE, text=True,
)
port = next(line for line in service.stdout if "http://127.0.0.1:" in line).split("http://127.0.0.1:")[1].split("/")[0].split()[0]
time.sleep(0.5)
decision = call("/v1/experiments/hello/decisions", {})
reward = call(f"/v1/experiments/hello/decisions/{decision['decision_id']}/reward", {"value": 1})
service.send_signal(signal.SIGTERM)
print(0 < decision["propensity"] <= 1, reward["status"], service.wait(30))
"""
RELATION = """
import duckdb, onearm
from onearm.engine.errors import InvalidInput

log = duckdb.sql("select ['mug', 'hat'][1 + i % 2] as offer, i % 3 as paid, 0.5 as chance from range(600) as t(i)")
named = {"action": "offer", "reward": "paid", "propensity": "chance"}
found, of_arrow = (onearm.evaluate(each, "action:hat", **named).to_dict() for each in (log, log.to_arrow_table()))
for told in (found, of_arrow):
    told.pop("events_per_second")
print(found["events"], found == of_arrow)
try:
    waited = duckdb.sql("select 0 as action, 1 as reward, 0.5 as propensity, interval 3 hours as waited")
    onearm.evaluate(waited, "linucb", features=["waited"])
except InvalidInput as error:
    print("span of time: make it a number" in str(error))
"""
USER = """
from __future__ import annotations

import onearm

engine = onearm.open(policy="ucb1", arms=["a", "b"])
decision = engine.decide()
engine.learn(decision, 1.0)
reveal_type(decision.propensity)
wrong: str = decision.propensity
"""


def run(command: Sequence[str | Path], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command where no checkout is on the path; it must end with 0."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))} | more
    done = subprocess.run(list(map(str, command)), cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def python_of(version: str) -> Path | None:
    """Return an interpreter of a version, as it is found on the path or where pyenv keeps them."""
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return Path(sys.executable)
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named = [shutil.which(f"python{version}"), *sorted(kept.glob(f"{version}*/bin/python"))]
    for path in filter(None, named):
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.startswith(f"Python {version}."):
            return Path(path)
    return None


class Installed:
    """An environment that holds the wheel, and nothing else but what it asks for."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.folder = folder
        run([UV, "venv", "--quiet", "--python", python, folder / "env"], folder)
        self.python = folder / "env" / "bin" / "python"

    def install(self, *what: str | Path) -> None:
        run([UV, "pip", "install", "--quiet", "--python", self.python, *what], self.folder)

    def onearm(self, *arguments: str) -> Any:
        told = run([self.python.with_name("onearm"), *arguments, "--json"], self.folder, NUMBA_DISABLE_JIT="1").stdout
        return json.loads(told)

    def program(self, text: str) -> str:
        return run([self.python, "-c", text], self.folder).stdout


def toy_plugin(folder: Path) -> Path:
    """Write a distribution that offers a policy by an entry point."""
    (folder / "toy").mkdir(parents=True)
    (folder / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "toy"\nversion = "1.0"\ndependencies = ["onearm"]\n'
        '[project.entry-points."onearm.policies"]\ntoy = "toy.policy:toy"\n'
    )
    (folder / "toy" / "__init__.py").touch()
    (folder / "toy" / "policy.py").write_text(own_policy("toy"))
    return folder


def own_policy(name: str) -> str:
    """Return the file of UCB1 as somebody's own, by another name."""
    text = (ROOT / "policies" / "arms" / "ucb1.py").read_text()
    return text.replace("...engine", "onearm.engine").replace("Ucb1", name.title()).replace("ucb1", name)


def smoke(installed: Installed) -> None:
    """Try one command of each kind, a service, and an environment of Gymnasium."""
    (installed.folder / "mine.py").write_text(own_policy("mine"))
    installed.install(toy_plugin(installed.folder / "plugin"))
    run([UV, "pip", "check", "--quiet", "--python", installed.python], installed.folder)
    for kind, command in COMMANDS.items():
        assert installed.onearm(*command), kind
    assert installed.program(GYM) == "True\n"
    assert installed.program(SERVICE) == "True accepted 0\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel") / "tree", "build_wheel")


@pytest.mark.slow
@pytest.mark.parametrize("version", PYTHONS)
def test_the_wheel_works_in_an_empty_environment(wheel: Path, tmp_path: Path, version: str) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"Python {version} is MISSING here: the wheel is not tried with it")
    installed = Installed(python, tmp_path)
    installed.install(wheel)
    size = sum(file.stat().st_size for file in (tmp_path / "env").rglob("*") if file.is_file())
    assert size <= 400e6, f"the package brings {size} bytes by itself"
    print(f"{version}: {size / 1e6:.0f} MB")
    smoke(installed)


@pytest.mark.slow
def test_the_lowest_versions_that_are_allowed_work(wheel: Path, tmp_path: Path) -> None:
    lowest = ("--resolution", "lowest-direct", "--quiet", "--python-version", "3.11", ROOT / "pyproject.toml")
    python = python_of("3.11")
    assert python is not None or sys.version_info[:2] != (3, 11)
    if python is None:
        pytest.skip("Python 3.11 is MISSING here: the lowest versions are those for it")
    run([UV, "pip", "compile", *lowest, "-o", tmp_path / "lowest.txt"], tmp_path)
    installed = Installed(python, tmp_path)
    installed.install("-r", tmp_path / "lowest.txt")
    installed.install("--no-deps", wheel)
    smoke(installed)


@pytest.mark.slow
def test_a_relation_of_duckdb_is_read(wheel: Path, tmp_path: Path) -> None:
    """DuckDB takes 70 MB, and lies in no lock: its relations come by Arrow's interface, as any library's tables do."""
    installed = Installed(Path(sys.executable), tmp_path)
    installed.install(f"{wheel}[logs]", "duckdb>=1.4,<3")
    assert installed.program(RELATION) == "600 True\nTrue\n"


@pytest.mark.slow
def test_a_program_of_a_user_is_checked_against_the_types(wheel: Path, tmp_path: Path) -> None:
    installed = Installed(Path(sys.executable), tmp_path)
    installed.install(wheel)
    (tmp_path / "user.py").write_text(USER)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", installed.python, "user.py"]
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, check=False)
    told = done.stdout.splitlines()
    assert [line.partition(": ")[2] for line in told[:-1]] == [
        'note: Revealed type is "float"',
        'error: Incompatible types in assignment (expression has type "float", variable has type "str")  [assignment]',
    ]
