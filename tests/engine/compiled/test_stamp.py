"""The stamp of compiled code: it covers every file that the code comes from, and changes with no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
from numba import typeof
from numba.core.registry import cpu_target
from support import passing, reaching, stamped
from support.environments import params as params_of_world

from onearm.engine import loop
from onearm.engine.compiled import stamp
from onearm.engine.compiled.entries import EntryCache
from onearm.engine.kernel import KERNELS, Loop
from onearm.engine.problem import fitted, state_problem
from onearm.engine.vocabulary import Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    """Let no stamp stay known that was made of files as a test says that they are."""
    stamp._stamp.cache_clear()
    yield
    stamp._stamp.cache_clear()


def modules_of(*values: Any) -> set[str]:
    """Return the modules of the NamedTuples among values, and of those that these hold."""
    return {one.__module__ for one in classes_of(*values)}


def classes_of(*values: Any) -> set[type]:
    found: set[type] = set()
    for value in values:
        if isinstance(value, tuple):
            found |= {type(value)} | classes_of(*value)
    return {one for one in found if one is not tuple}


def state_of(policy: Policy) -> Any:
    """Return the policy as it fits a problem, and a fresh state of it."""
    kind = policy.actions[0]
    if kind == "move":
        return policy, passing.fresh(policy, 0, None, golden.SLOTS)
    if kind == "vector":
        problem = golden.problem_of_vectors(policy, golden.fitting_domains(policy)[0])
    elif kind == "query":
        problem = golden.task_of(policy)
        policy = fitted(policy, problem)
    elif golden.in_states(policy):
        problem = dataclasses.replace(state_problem(4, golden.N_ARMS), horizon=golden.STEPS)
    else:
        problem = Problem(golden.N_ARMS, (policy.context_length_max or 0,), horizon=golden.STEPS)
    return policy, policy.init(policy.params, problem)


@pytest.mark.parametrize("name", policies.names())
def test_the_stamp_covers_every_function_that_a_policys_entries_may_reach(name: str) -> None:
    policy, state = state_of(golden.specimen(name))
    covered = {str(file) for file in stamp.reached({"onearm.engine.loop"} | modules_of(policy.params, state))}
    for entry in (loop.decide, loop.learn, loop.simulate, loop.replay, loop.explain):
        called = reaching.functions(entry.python, classes_of(policy.params, state))
        assert {reaching.file_of(function) for function in called} <= covered


@pytest.mark.parametrize("name", envs.names())
def test_the_stamp_covers_every_function_that_an_environments_entries_may_reach(name: str) -> None:
    env = envs.make(name, **params_of_world(name))
    problem = dataclasses.replace(env.problem, horizon=min(env.problem.horizon or 20, 20))  # some draw it all at once
    state = env.init(env.params, problem, np.uint64(1))
    covered = {str(file) for file in stamp.reached({"onearm.engine.loop"} | modules_of(env.params, state))}
    called = reaching.functions(loop.simulate.python, classes_of(env.params, state))
    assert {reaching.file_of(function) for function in called} <= covered


def test_a_functions_reach_is_seen_through_kernels_modules_and_generic_functions() -> None:
    """What the two tests above stand on."""
    policy, state = state_of(golden.specimen("floor"))  # around ucb1
    called = reaching.functions(loop.decide.python, classes_of(policy.params, state))
    files = {Path(reaching.file_of(function)).relative_to(stamp.ROOT).as_posix() for function in called}
    assert {"engine/loop.py", "engine/protocol.py", "policies/wrappers/floor.py", "policies/arms/ucb1.py"} <= files
    assert "policies/arms/exp3.py" not in files


def signature_of(policy: Policy, state: Any) -> list[Any]:
    """Return the types of what `decide` is called with."""
    instance = Instance(0, np.zeros(0), np.ones(3, np.bool_))
    return [typeof(value) for value in (policy.params, state, instance, Key(np.uint64(1), 0))]


def names_of_entries(signatures: dict[str, list[Any]]) -> dict[str, str]:
    """Return the key of `decide` for each policy: the name of its file."""
    keys = {}
    for name, signature in signatures.items():
        need = EntryCache(loop.decide.python, KERNELS).need(signature, cpu_target.target_context)
        assert need is not None
        keys[name] = need.key
    return keys


def test_every_policy_has_a_name_of_its_own_and_an_edit_of_one_file_changes_that_of_its_own_policies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signatures = {name: signature_of(*state_of(golden.specimen(name))) for name in policies.names()}
    before = names_of_entries(signatures)
    assert names_of_entries(signatures) == before
    assert len(set(before.values())) == len(before)
    for file, expected in {
        "policies/contexts/linucb.py": {"linucb"},
        "policies/arms/ucb1.py": {"ucb1", "floor"},  # golden's `floor` is around it
        "engine/loop.py": set(before),
        "engine/compiled/entries.py": set(before),
        "envs/arms/bernoulli.py": set(),
    }.items():
        with monkeypatch.context() as edit:
            edit.setattr(stamp, "_source", edited(file))
            stamp._stamp.cache_clear()
            after = names_of_entries(signatures)
        assert {name for name in before if after[name] != before[name]} == expected, file


def edited(file: str) -> Any:
    """Return what reads sources as if one file were another."""
    source = stamp._source

    def read(path: Path) -> stamp.Source:
        found = source(path)
        return found._replace(digest="edited") if path == stamp.ROOT / file else found

    return read


def test_what_was_edited_after_the_process_began_has_no_stamp(monkeypatch: pytest.MonkeyPatch) -> None:
    ucb1, exp3_ix = (policies.factory(name).__module__ for name in ("ucb1", "exp3_ix"))
    assert stamp.stamp([ucb1]) is not None
    source = stamp._source
    monkeypatch.setattr(stamp, "_source", lambda file: source(file)._replace(edited=file.stem == "ucb1"))
    stamp._stamp.cache_clear()
    assert stamp.stamp([ucb1]) is None
    assert stamp.stamp([exp3_ix]) is not None


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from .draws import uniform", ["engine/draws.py"]),
        ("from ..engine.draws import uniform, normal", ["engine/draws.py"]),
        ("from . import draws, loop", ["engine/__init__.py", "engine/draws.py", "engine/loop.py"]),
        ("from .laws import (\n    largest,  # why\n)", ["engine/laws/__init__.py", "engine/laws/largest.py"]),
        ("from .laws.largest import largest", ["engine/laws/largest.py"]),
        ("    from .draws import uniform", []),
        ("from numpy import zeros", []),
        ("import math", []),
    ],
)  # fmt: skip
def test_imports_are_read_off_the_text(line: str, found: list[str]) -> None:
    targets = [stamp._targets(stamp.ROOT / "engine" / "x.py", *one.groups()) for one in stamp.IMPORT.finditer(line)]
    assert [file.relative_to(stamp.ROOT).as_posix() for files in targets for file in files] == found


def test_a_routine_and_a_loop_of_one_function_are_kept_apart() -> None:
    """They are called in different ways: one loaded in place of the other ends the process."""
    cache = EntryCache(loop.decide.python, KERNELS), EntryCache(loop.decide.python, KERNELS, "routine")
    needs = {one.need([typeof(1.0)], cpu_target.target_context) for one in cache}
    assert len(needs) == 2 and None not in needs


@pytest.mark.jit
@pytest.mark.parametrize("name", ["floor", "linucb"])
def test_the_files_that_numba_compiled_into_an_entry_are_covered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what the tests keep on disk that is looked at everywhere (`support/stamped.py`): here it is seen to look."""
    policy, state = state_of(golden.specimen(name))
    instance = Instance(0, np.zeros(policy.context_length_max or 0), np.ones(golden.N_ARMS, np.bool_))
    entry = Loop(loop.decide.python)
    monkeypatch.setattr(EntryCache, "load_overload", lambda *_: None)
    entry.compiled(policy.params, state, instance, Key(np.uint64(1), 0))
    (compiled,) = entry._jitted.overloads.values()
    files = {file.relative_to(stamp.ROOT).as_posix() for file in stamped.files_in(compiled.library)}
    own = {"floor": "policies/arms/ucb1.py", "linucb": "engine/oracles/arm_mean.py"}[name]
    assert {"engine/loop.py", own} <= files
    reached = stamp.reached
    monkeypatch.setattr(stamp, "reached", lambda modules: [file for file in reached(modules) if file.match(own)])
    with pytest.raises(AssertionError, match="which its stamp does not cover"):
        Loop(loop.decide.python).compiled(policy.params, state, instance, Key(np.uint64(1), 0))
