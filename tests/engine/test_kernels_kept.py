"""The cache of kernels: what a second process compiles, what it loads, and what is never kept."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support import with_numba

from onearm.engine.compiled import store
from onearm.engine.kernel import package_root

# Two policies of one shape, and two environments of one shape: only the names of their classes differ.
POLICY = '''"""{title}: play one arm for ever."""

from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel, routine
from onearm.engine.protocol import register_policy
from onearm.engine.vocabulary import Decision, Policy


class {title}Params(NamedTuple):
    arm: int


class {title}State(NamedTuple):
    count: np.ndarray


def {name}(arm: int = 1) -> Policy:
    return Policy("{name}", {title}Params(arm), init)


def init(params, problem):
    return {title}State(np.zeros(problem.n_arms, np.int64))


@kernel
def select(params, state, instance, key):
    return Decision({action}, 1.0)


@kernel
def update(params, state, instance, decision, feedback, key):
    _count(state, decision.action)


@routine
def _count(state, arm):
    state.count[arm] += 1


register_policy({title}Params, select=select, update=update)
'''

ENV = '''"""{title}: pay a multiple of the arm's number."""

from typing import NamedTuple

import numpy as np

from onearm.engine.kernel import kernel
from onearm.engine.protocol import register_env
from onearm.engine.vocabulary import Environment, Problem


class {title}Params(NamedTuple):
    scale: float


class {title}State(NamedTuple):
    pass


def {name}(scale: float = 1.0) -> Environment:
    return Environment("{name}", {title}Params(scale), init, Problem(4))


def init(params, problem, run):
    return {title}State()


@kernel
def respond(params, state, instance, action, detail, key):
    return {reward}, 0


register_env({title}Params, respond=respond)
'''

# A loop of the package's own, a fifth of `simulate`: what is kept, and when, is alike for all loops.
LOOP = '''"""Ten decisions of a policy in an environment."""

from .kernel import loop
from .protocol import respond, select, update
from .vocabulary import Feedback, Instance, Key


@loop
def play(params, state, instance, world, place, detail):
    total = 0.0
    for t in range(10):
        now = Instance(t, instance.context, instance.available, instance.unit, instance.time)
        key = Key(0, t)
        decision = select(params, state, now, key)
        reward, _ = respond(world, place, now, decision.action, detail, key)
        update(params, state, now, decision, Feedback(reward, detail), key)
        total += reward
    return total
'''
# Gives the function that lets a policy play in an environment, and returns its total reward.
PLAY = """
import json, sys
from pathlib import Path
import numpy as np
from onearm.engine.short import play
from onearm.engine.vocabulary import Instance
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

def earned(policy, env):
    world = envs.make(env)
    state = policy.init(policy.params, world.problem)
    place = world.init(world.params, world.problem, np.uint64(1))
    instance = Instance(0, np.zeros(0), np.ones(world.problem.n_arms, np.bool_))
    return float(play(policy.params, state, instance, world.params, place, np.zeros(0)))
"""
# Runs policies on environments, named as "stay,step" and "single,double"; a policy may be a file from outside.
# Prints {"policy on env": [total reward in a first run, in a second run], ..., "compilations": n}.
DRIVER = f"""{PLAY}
of = [policies.add_file(Path(name)) if name.endswith(".py") else name for name in sys.argv[1].split(",")]
found = {{}}
for again in (1, 2):
    for policy in of:
        for env in sys.argv[2].split(","):
            found.setdefault(f"{{policy}} on {{env}}", []).append(earned(policies.make(policy), env))
found["compilations"] = play.compilations
print(json.dumps(found))
"""
# Edits a policy's file after its import, and prints what its total reward is.
EDITED_MEANWHILE = f"""{PLAY}
policy = policies.make("stay")
if Path(sys.argv[1]).read_text() != sys.argv[2]:
    Path(sys.argv[1]).write_text(sys.argv[2])
print(earned(policy, "single"))
"""
# Prints the digest of the sources: as they are, with one more, with another name for that, and as they were.
DIGESTS = """
import shutil
from onearm.engine.kernel import package_root, source_digest

def tell():
    source_digest.cache_clear()
    print(source_digest())

tell()
folder = package_root() / "policies" / "tree"
folder.mkdir()
(folder / "split.py").write_text("A kernel in a folder.")
tell()
(folder / "split.py").rename(folder / "leaf.py")
tell()
shutil.rmtree(folder)
tell()
"""
# 10 steps: `stay` plays arm 1 and `step` arm 2; `single` pays the arm's number and `double` twice that.
RESULTS = {
    "stay on single": [10.0, 10.0],
    "stay on double": [20.0, 20.0],
    "step on single": [20.0, 20.0],
    "step on double": [40.0, 40.0],
}
ALONE = {"stay on single": [10.0, 10.0]}  # for what one entry shows: each takes as long as a process that loads it


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return a folder of the test's own that holds a copy of the package."""
    return copied(tmp_path)


class Compiled(NamedTuple):
    """A copy of the package, and what its driver found where nothing was compiled before."""

    folder: Path
    first: dict[str, Any]
    entries: list[Path]  # the files of its loop


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    """Return a copy of the package whose kernels one process compiled; who edits it puts back what was there."""
    folder = copied(tmp_path_factory.mktemp("compiled"))
    first = run(folder)
    return Compiled(folder, first, sorted((folder / "cache").glob("short_play-*")))


def copied(folder: Path) -> Path:
    """Copy the package into a folder, with a loop, two policies and two environments more; return the folder."""
    package = folder / "path" / "onearm"
    source = package_root()
    ignore = shutil.ignore_patterns("__pycache__", "_root", "storage")
    shutil.copytree(source / "engine" / "_root", package, ignore=shutil.ignore_patterns("__pycache__"))
    for room in ("engine", "policies", "envs"):
        shutil.copytree(source / room, package / room, ignore=ignore)
    (package / "engine" / "short.py").write_text(LOOP)
    write_policy(package / "policies" / "arms" / "stay.py", "params.arm")
    write_policy(package / "policies" / "arms" / "step.py", "params.arm + 1")
    write_env(package / "envs" / "arms" / "single.py", "1.0 * action * params.scale")
    write_env(package / "envs" / "arms" / "double.py", "2.0 * action * params.scale")
    return folder


def write_policy(file: Path, action: str) -> Path:
    file.write_text(POLICY.format(name=file.stem, title=file.stem.title(), action=action))
    return file


def write_env(file: Path, reward: str) -> None:
    """Write an environment. Python takes an edit of the same second and size for none: its own cache of it goes."""
    file.write_text(ENV.format(name=file.stem, title=file.stem.title(), reward=reward))
    Path(importlib.util.cache_from_source(str(file))).unlink(missing_ok=True)


def run(
    copy: Path, of: str = "stay,step", on: str = "single,double", jit: bool = True, told: list[str] | None = None
) -> dict[str, Any]:
    """Run the driver on the copied package and return what it found; what it is warned of goes to `told`."""
    found: dict[str, Any] = json.loads(python(copy, DRIVER, of, on, jit=jit, told=told))
    return found


def python(copy: Path, code: str, *arguments: str | Path, jit: bool = True, told: list[str] | None = None) -> str:
    """Run code in a process of its own, on the copied package and its cache; return what it prints.

    It is to warn of nothing, but where its warnings are asked for, in `told`.
    """
    settings = {"PYTHONPATH": str(copy / "path"), "ONEARM_CACHE_DIR": str(copy / "cache")}
    given = [*map(str, arguments)]
    if jit:
        done: Any = with_numba.run(code, *given, path=[copy / "path"], folder=copy, **settings)
    else:
        environment = os.environ | settings | {"NUMBA_DISABLE_JIT": "1"}
        command = [sys.executable, "-c", code, *given]
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    if told is None:
        assert "Warning" not in done.stderr, done.stderr
    else:
        told.extend(done.stderr.splitlines())
    return done.stdout


@pytest.mark.jit
def test_a_second_process_compiles_nothing_until_a_kernel_is_edited(compiled: Compiled) -> None:
    copy, first, _ = compiled
    assert first == RESULTS | {"compilations": 4}
    env = copy / "path" / "onearm" / "envs" / "arms" / "single.py"
    write_env(env, "5.0 * action * params.scale")
    edited = RESULTS | {"stay on single": [50.0, 50.0], "step on single": [100.0, 100.0]}
    assert run(copy) == edited | {"compilations": 2}  # what runs on `double` is loaded
    write_env(env, "1.0 * action * params.scale")
    assert run(copy) == RESULTS | {"compilations": 0}


@pytest.mark.jit
def test_what_is_edited_after_a_process_began_is_not_kept_under_the_stamp_of_the_edit(copy: Path) -> None:
    """The process runs what it imported: kept under the new stamp, that would be served to the next one."""
    policy = copy / "path" / "onearm" / "policies" / "arms" / "stay.py"
    edit = POLICY.format(name="stay", title="Stay", action="params.arm + 2")
    assert python(copy, EDITED_MEANWHILE, policy, edit) == "10.0\n"
    assert python(copy, EDITED_MEANWHILE, policy, edit) == "30.0\n"


@pytest.mark.jit
def test_what_is_another_ones_lost_or_cannot_be_loaded_is_told_and_compiled_anew(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four entries two have each other's code, and one is written by us, and whole, but by another version of us.

    Then of the two routines that they call one is lost, which is no cause for a word, and the other one is damaged.
    """
    monkeypatch.setattr(store, "cache_folder", lambda: compiled.folder / "cache")
    one, other, newer, _ = compiled.entries
    codes = one.read_bytes(), other.read_bytes()
    other.write_bytes(codes[0])
    one.write_bytes(codes[1])
    store.write("short_play", newer.stem.rpartition("-")[2], b"what nobody can load")
    told: list[str] = []
    assert run(compiled.folder, told=told) == RESULTS | {"compilations": 3}
    for file in (one, other, newer):
        assert len([line for line in told if "CacheWarning" in line and file.name in line]) == 1
    assert len([line for line in told if "CacheWarning" in line]) == 3
    (lost,) = (compiled.folder / "cache").glob("stay__count-*")
    (damaged,) = (compiled.folder / "cache").glob("step__count-*")
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    told.clear()
    again = run(compiled.folder, told=told)
    assert again == RESULTS | {"compilations": 2}  # the next ones find the routines again
    assert any(damaged.name in line for line in told) and not any(lost.name in line for line in told)
    assert run(compiled.folder) == RESULTS | {"compilations": 0}


@pytest.mark.jit
def test_a_routine_is_loaded_by_an_entry_that_is_compiled_now(compiled: Compiled) -> None:
    """It is compiled once, and called by all: the folder has one file of it, which stays as it is."""
    copy = compiled.folder
    for file in compiled.entries:
        file.unlink()
    before = {file: file.stat().st_mtime_ns for file in (copy / "cache").iterdir()}
    both = {pair: RESULTS[pair] for pair in ("stay on single", "stay on double")}
    assert run(copy, "stay") == both | {"compilations": 2}
    after = {file: file.stat().st_mtime_ns for file in (copy / "cache").iterdir()}
    assert after.items() > before.items()
    assert all(file in compiled.entries for file in set(after) - set(before))


@pytest.mark.jit
def test_a_folder_that_cannot_be_written_is_told_once_and_everything_runs(copy: Path) -> None:
    """Two files would be written: that of an entry, and that of the routine that it calls."""
    (copy / "cache").write_text("a file stands where the folder should")
    told: list[str] = []
    assert run(copy, "stay", "single", told=told) == ALONE | {"compilations": 1}
    assert len([line for line in told if "CacheWarning" in line]) == 1


@pytest.mark.jit
def test_two_processes_that_compile_the_same_at_the_same_time_end_well(copy: Path) -> None:
    with ThreadPoolExecutor(2) as two:
        both = [two.submit(run, copy, "stay", "single") for _ in range(2)]
    assert all(one.result().items() >= ALONE.items() for one in both)
    assert run(copy, "stay", "single") == ALONE | {"compilations": 0}


@pytest.mark.jit
def test_a_policy_from_outside_runs_its_own_kernel_beside_the_built_in_ones_and_is_never_cached(
    compiled: Compiled,
) -> None:
    """The built-in one is loaded, and of the other one nothing is left behind, also where it is run once more."""
    copy = compiled.folder
    assert run(copy, "stay", "single").items() >= ALONE.items()
    kept = {file: file.stat().st_mtime_ns for file in (copy / "cache").iterdir()}
    write_policy(copy / "outsider.py", "params.arm + 2")
    expected = ALONE | {"outsider on single": [30.0, 30.0]}
    for _ in range(2):
        assert run(copy, "stay,outsider.py", "single") == expected | {"compilations": 1}
    assert {file: file.stat().st_mtime_ns for file in (copy / "cache").iterdir()} == kept


def test_the_jit_off_gives_the_same_results(copy: Path) -> None:
    write_policy(copy / "outsider.py", "params.arm + 2")
    assert run(copy, "stay,step,outsider.py", jit=False) == RESULTS | {
        "outsider on single": [30.0, 30.0],
        "outsider on double": [60.0, 60.0],
        "compilations": 0,
    }


def test_the_digest_changes_with_every_source_file_and_back(copy: Path) -> None:
    before, after, renamed, back = python(copy, DIGESTS).split()
    assert len({before, after, renamed}) == 3
    assert back == before
