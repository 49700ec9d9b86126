"""What every run of the tests tries of a matrix, where the rest is marked `slow`: only `make test-all` runs that.

A fact keeps a case of each shape; further policies, worlds and settings of the same fact are left to `make test-all`.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest
from support.subjects import policies_given, policy_of_file, without_policies

Value = tuple[Hashable, ...]  # of a param, with its name
Case = TypeVar("Case", bound=Hashable)

# These stand for the others, which differ from one of them in what they do, and not in what surrounds them: here is
# every shape of a state, of a law and of an entry, each wrapper, and every file of kernels in engine/ (as
# tests/test_every_run.py sees). Interfaces are tried with these alone. What policies do themselves is tried as Python,
# with all of them, the others in fewer settings.
REPRESENTATIVES = (
    "ucb1",  # no law is kept
    "exp3_ix",  # a law from weights
    "tsallis_inf",  # a law that is solved for
    "thompson_beta",  # a law by quadrature, which goes on from the one before
    "linucb",  # a ridge for each arm, or one for all
    "squarecb",  # features that are sparse
    "fourier_ucb",  # features that bend: the default where there are contexts
    "half_visit",  # plans in states: with laws, and with sets of them
    "ucrl2",
    "imed_rl",  # in states, anew at every step
    "differential_q",  # in states, without a plan
    "ucrl2_vtr",
    "loop",
    "loop_mixture",
    "chebcb",  # polynomials within bounds
    "maillard_chain",  # a model along the arms
    "early_drop",  # moves
    "implicit_omd",  # points: by proximal steps, in a metric, of leaders, of losses
    "optimistic_newton",
    "optimistic_omd",
    "optimistic_ftrl",
    "optimistic_hedge",
    "generalised_binary_search",  # queries: of hypotheses, of arms, in rounds, of a network
    "top_two_thompson",
    "successive_halving",
    "mapo",
    "young",  # the omega of a solver
    "adaptive",  # a policy around another
    "budget",
    "constrained",
    "floor",
    "paced_budget",
    "point_gradient",
    "split",
    "sticky",
)

# To compile a policy takes 1 to 15 s. Of the representatives these are compiled but for one test of each shape, as they
# call no file of kernels in engine/ that the others do not: what they do as Python every run tries as ever.
AS_PYTHON = (
    "exp3_ix",
    "squarecb",  # compiled inside `adaptive`, `constrained` and `paced_budget`
    "half_visit",
    "optimistic_omd",
    "optimistic_hedge",
    "generalised_binary_search",
    "top_two_thompson",
    "budget",
    "floor",
    "point_gradient",
    "split",
    "sticky",
)

OF_EVERY_POLICY = (  # what every run tries of every policy, as Python
    "tests/conformance/",
    "tests/policies/",
    "tests/parity/test_golden.py",
    "tests/test_old_logs.py",
)


def every_run(cases: Iterable[Any], kept: Iterable[Any]) -> list[Any]:
    """Return the cases of a parametrised test, and mark all `slow` but those that every run tries.

    A case is a value, or a plain tuple of several. What is kept and is no case is an error.
    """
    cases, kept = list(cases), list(kept)
    missing = [case for case in kept if case not in cases]
    assert not missing, f"{missing} are to be tried in every run, and are no cases"
    return [case if case in kept else _slow(case) for case in cases]


def first_of_others(cases: Iterable[Any], policy: Callable[[Any], str]) -> list[Any]:
    """Return which cases every run tries of policies in several settings: the first of each that represents none."""
    seen, kept = set(REPRESENTATIVES), []
    for case in cases:
        if (name := policy(case)) in REPRESENTATIVES or name not in seen:
            kept.append(case)
        seen.add(name)
    return kept


def _slow(case: Any) -> Any:
    return pytest.param(*(case if type(case) is tuple else (case,)), marks=pytest.mark.slow)


def mark_further(items: Iterable[pytest.Item], root: Path) -> None:
    """Mark tests of policies `slow`, but of `REPRESENTATIVES` and of what was just written.

    As Python, what stands in `OF_EVERY_POLICY` is left as it is. A compiled test that is given policies by name leaves
    out those of `AS_PYTHON`. Of a test that is given policies by name, and perhaps a setting, every setting is tried:
    where it has none that is kept, with its first representative, or else with its first policy.
    """
    just_written = written(root)
    kept = {*REPRESENTATIVES, *just_written}
    kept_compiled = {*(kept - {*AS_PYTHON}), *just_written}
    cases: dict[str, list[tuple[int, pytest.Item]]] = {}
    for item in items:
        compiled = item.get_closest_marker("jit") is not None
        given, own = policies_given(item.nodeid), policy_of_file(item.nodeid)
        if given and (compiled or not item.nodeid.startswith(OF_EVERY_POLICY)):
            wanted = kept_compiled if compiled else kept
            rank = 0 if not wanted.isdisjoint(given) else 1 if not kept.isdisjoint(given) else 2
            cases.setdefault(without_policies(item.nodeid), []).append((rank, item))
        elif compiled and own is not None and own not in kept:
            item.add_marker("slow")
    for tried in cases.values():
        best = min(rank for rank, _ in tried)
        first = next(item for rank, item in tried if rank == best)
        for rank, item in tried:
            if rank > 0 and item is not first:
                item.add_marker("slow")


def cover(items: Iterable[pytest.Item]) -> None:
    """Mark `slow`, of a test marked `covering`, all cases but so few that every value of every param is tried.

    So every policy is tried in one setting and every setting with one policy, and not each with each. What is slow
    for another reason shows nothing.
    """
    tests: dict[str, dict[pytest.Item, frozenset[Value]]] = {}
    for item in items:
        if item.get_closest_marker("covering") and not item.get_closest_marker("slow"):
            tests.setdefault(item.nodeid.partition("[")[0], {})[item] = values_of(item)
    for cases in tests.values():
        for item in cases.keys() - covering(cases):
            item.add_marker("slow")


def covering(cases: Mapping[Case, frozenset[Value]]) -> list[Case]:
    """Return so few of the cases that every value is tried that one of them has.

    Of what would show as many new values, a case comes first whose other values were tried least.
    """
    left, kept = dict(cases), list[Case]()
    missing, tried = frozenset[Value]().union(*left.values()), Counter[Value]()
    while missing:
        best = max(left, key=lambda case: (len(left[case] & missing), -sum(tried[each] for each in left[case])))
        kept.append(best)
        missing -= left[best]
        tried.update(left.pop(best))
    return kept


def values_of(item: pytest.Item) -> frozenset[Value]:
    """Return the params of a case, each with its name; what has no hash is itself alone."""
    params: dict[str, Any] = item.callspec.params  # type: ignore[attr-defined]
    return frozenset((name, _hashed(value)) for name, value in params.items())


def _hashed(value: Any) -> Hashable:
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value  # type: ignore[no-any-return]


def written(root: Path) -> set[str]:
    """Return the policies whose files differ from those of the commit before, or are not committed at all.

    So who edits a policy has it compiled. Of a merge the commit before is the one that was merged into. Where there is
    no git, or no commit before, there are none.
    """
    commands = ["git diff --name-only HEAD~1 -- policies", "git ls-files --others --exclude-standard -- policies"]
    told = [subprocess.run(one.split(), cwd=root, capture_output=True, text=True, check=False) for one in commands]
    return {Path(file).stem for one in told for file in one.stdout.splitlines()}
