"""Kernels and their cache: who runs which kernel, what is compiled when, and what numba refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
import pytest
from support import with_numba

from onearm.engine import kernel as kernel_module
from onearm.engine import loop
from onearm.engine.compiled import store
from onearm.engine.elementary import exp, log, log_gamma
from onearm.engine.errors import InvalidInput
from onearm.engine.kernel import KERNELS, Loop, is_outside, kernel, package_root, register, routine
from onearm.engine.vocabulary import Decision, Instance, Key, Problem
from onearm.policies.arms.ucb1 import Ucb1Params, ucb1

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
    file.write_text(ENV.format(name=file.stem, title=file.stem.title(), reward=reward))


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


def test_a_taken_class_name_is_refused_and_the_first_owner_keeps_its_kernels() -> None:
    kernels = KERNELS[Ucb1Params]
    usurper = NamedTuple("Ucb1Params", [("alpha", float)])  # noqa: UP014 - a class here has a longer name
    with pytest.raises(InvalidInput, match=r"'Ucb1Params' of .*test_kernel.py is taken by .*ucb1.py.*rename"):
        register(usurper, select=kernel(first))
    assert KERNELS[Ucb1Params] is kernels
    assert usurper not in KERNELS


def test_the_package_is_inside_and_everything_else_outside() -> None:
    assert not is_outside(Ucb1Params)
    assert is_outside(Path)
    assert is_outside(first)


def test_the_digest_changes_with_every_source_file_and_back(copy: Path) -> None:
    before, after, renamed, back = python(copy, DIGESTS).split()
    assert len({before, after, renamed}) == 3
    assert back == before


@pytest.mark.jit
@pytest.mark.parametrize("decorate", [kernel, routine])
def test_what_python_calls_runs_as_python_and_compiles_nothing(decorate: Any) -> None:
    """All the way down: also a kernel that allocates, which is never compiled, and what that calls."""
    seen: list[Any] = []

    def looks(x: Any) -> Any:
        seen.append(x)
        return short_kernel(len(np.zeros(2)))

    called = decorate(looks)
    assert called("no number") == short_kernel(2)
    assert seen == ["no number"]
    assert not called.overloads and not short_kernel.overloads  # type: ignore[attr-defined]


@pytest.mark.jit
@pytest.mark.parametrize("decorate", [kernel, routine])
def test_python_calls_a_kernel_by_the_names_of_its_arguments(decorate: Any) -> None:
    def less(of: float, by: float = 1.0) -> float:
        return of - by

    assert decorate(less)(by=2.0, of=5.0) == 3.0 and decorate(less)(5.0) == 4.0


@pytest.mark.jit
def test_the_first_tier_of_an_entry_says_nothing_of_what_is_not_finite() -> None:
    params, state, instance, key = arguments_of_decide(2)
    state.count[:] = 1
    state.mean[:] = 1e308, -1e308
    with pytest.warns(RuntimeWarning, match="overflow"):
        _ = state.mean[0] * np.float64(10.0)
    wide = params._replace(alpha=np.float64(1e308))
    assert loop.decide._interpreted(wide, state, instance, key).action == 0


@pytest.mark.jit
def test_a_kernel_that_allocates_an_array_is_refused() -> None:
    with pytest.raises(numba.core.errors.TypingError, match="Only accept returning of array passed into the function"):
        Loop(allocates)(3)


@pytest.mark.jit
def test_a_loop_compiles_once_for_every_number_of_arms() -> None:
    few, many = (arguments_of_decide(n_arms) for n_arms in (2, 37))
    assert loop.decide.compiled(*few) is loop.decide.compiled(*many)
    assert loop.decide(*few) == Decision(0, 1.0)
    assert loop.decide.compiled(*many)(*many) == Decision(0, 1.0)


@pytest.mark.jit
def test_a_loop_names_the_types_of_its_arguments_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes 60 to 200 us; finding the code for them takes 3."""
    arguments = arguments_of_decide(2)
    decided = loop.decide(*arguments)
    monkeypatch.setattr(kernel_module, "typeof", None)
    assert loop.decide(*arguments) == decided


@pytest.mark.jit
def test_a_loop_refuses_params_without_kernels() -> None:
    stranger = Stranger(1.0)
    _, *rest = arguments_of_decide(2)
    with pytest.raises(InvalidInput, match=r"(?s)the kernels of decide\(\w*\) do not compile: .*select"):
        loop.decide(stranger, *rest)


@pytest.mark.jit
def test_a_routine_is_code_of_its_own_also_below_a_kernel() -> None:
    """It is called by its symbol, and its code lies elsewhere; a kernel leaves no trace."""
    entry = Loop(through_a_kernel)
    assert entry(2.0) == pytest.approx(np.exp(2.0) + np.log(2.0) + 1.0)
    (code,) = entry._jitted.inspect_asm().values()
    labels = [line for line in code.splitlines() if line.endswith(":")]
    assert "long_routine" in code
    assert not any("long_routine" in label or "short_kernel" in label for label in labels)


@pytest.mark.jit
@pytest.mark.parametrize("decorate", [kernel, routine])
def test_what_is_called_with_several_constants_is_compiled_once(decorate: Any) -> None:
    """And for numbers of their type that are no constants, given in order or by name."""

    def chosen(x: float, first: bool, by: int) -> float:
        return x + by if first else x - by

    called = decorate(chosen)

    def calls(x: float, by: int) -> float:
        return called(x, True, 1) + called(x, False, by=2) + called(x, by > 0, by)

    assert Loop(calls)(0.5, 4) == 1.5 - 1.5 + 4.5
    assert len(called.overloads) == 1


@routine
def long_routine(x: float) -> float:
    return exp(x) + log(x) + log_gamma(x)


@kernel
def short_kernel(x: float) -> float:
    return long_routine(x) + 1.0


def through_a_kernel(x: float) -> float:
    return short_kernel(x)


class Stranger(NamedTuple):
    alpha: float


def arguments_of_decide(n_arms: int) -> tuple[Any, ...]:
    policy = ucb1()
    state = policy.init(policy.params, Problem(n_arms))
    instance = Instance(0, np.zeros(0), np.ones(n_arms, np.bool_))
    return policy.params, state, instance, Key(np.uint64(1), 0)


def first(params: Any, state: Any, instance: Instance, key: Key) -> Decision:
    return Decision(0, 1.0)


def allocates(n: int) -> int:
    return len(np.empty(n))
