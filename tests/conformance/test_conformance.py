"""What every policy keeps to, whatever it decides on: a file in policies/ is tested without a line here.

The kinds are described in support/kinds/; what holds for one of them alone stands in a file of its own beside this one.
A policy with required params adds a line to SPECIMENS of golden.py.
"""

from __future__ import annotations

import copy
import functools
import inspect
import json
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import golden
import numpy as np
import pytest
from support.compiled import as_python
from support.every_run import covering, every_run, first_of_others
from support.kinds.course import RUN, Course
from support.kinds.every import KINDS

from onearm.engine import loop, snapshot
from onearm.engine.columns import concat, every_mask
from onearm.engine.contexts import context_at, pack_context
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import check_fit
from onearm.engine.protocol import has_law
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, ActionKind, Columns, Decision, Feedback, Instance, Key, Problem
from onearm.policies import catalog as policies

pytestmark = pytest.mark.usefixtures("few_cosines", "coarse_quadrature")


def numbered(course: str) -> bool:
    """Tell whether what is chosen in a course has a number."""
    return course.startswith(("arm-", "query-"))


def settings(course: str) -> frozenset[tuple[str, int, str]]:
    """Return the settings of a course, each with its policy and its place."""
    _, policy, *parts = course.split("-")
    return frozenset((policy, place, part) for place, part in enumerate(parts))


COURSES = {f"{kind}-{name}": begin for kind, described in KINDS.items() for name, begin in described.courses.items()}
# Of every policy each context, domain and sort of feedback, and these not each with each.
OF_EVERY_POLICY = {course: settings(course) for course in first_of_others(COURSES, lambda course: course.split("-")[1])}
EVERY_RUN = covering(OF_EVERY_POLICY)
each_numbered_course = pytest.mark.parametrize(
    "course_name", every_run(filter(numbered, COURSES), filter(numbered, EVERY_RUN))
)
DIGESTED = [(kind, name) for kind, described in KINDS.items() if described.digests for name in golden.names(kind)]
each_simulation = pytest.mark.parametrize(
    "begin",
    [
        pytest.param(begin, id=f"{kind}-{name}")
        for kind, described in KINDS.items()
        for name, begin in described.simulations.items()
    ],
)


def test_there_are_courses_of_every_policy_in_every_run() -> None:
    played = {COURSES[name]().policy.name for name in EVERY_RUN}
    assert played == set(policies.names())


@each_numbered_course
def test_actions_are_available_and_propensities_are_the_law(course_name: str) -> None:
    """A policy without a law says NaN, always."""
    course = COURSES[course_name]()
    for instance in course.instances(course.steps):
        law = course.law(instance)
        decision = course.decide(instance)
        assert instance.available[decision.action]
        if not has_law(course.policy.params):
            assert np.isnan([decision.propensity, *law]).all()
        else:
            assert 0.0 < decision.propensity <= 1.0
            assert decision.propensity == law[decision.action]
            assert law.sum() == pytest.approx(1.0, abs=1e-12)
            assert (law[~instance.available] == 0.0).all()
        course.learn(instance, decision)


@each_numbered_course
def test_a_single_open_choice_is_taken_for_sure(course_name: str) -> None:
    course = COURSES[course_name]().play(8)
    n = course.problem.n_arms
    for instance in course.instances(4):
        only = instance._replace(available=np.arange(n) == instance.t % n)
        decision = course.decide(only)
        assert decision.action == instance.t % n
        assert np.isnan(decision.propensity) or decision.propensity == pytest.approx(1.0, abs=1e-12)
        course.learn(only, decision)


class Played(NamedTuple):
    """A course that was played to its end, and what it said on its way."""

    end: Course
    half: Course  # goes on from a snapshot of when it was half over, or from its end where that came sooner
    looks: list[tuple[Instance, list[Any]]]  # of the second half
    changed: list[int]  # when to look twice told something else, or another state


@pytest.fixture(scope="module", params=every_run(COURSES, EVERY_RUN))
def course_of(request: pytest.FixtureRequest) -> Callable[[], Course]:
    """Return what begins a course. The scope brings the tests of one course together, which then is played once."""
    return COURSES[request.param]


@pytest.fixture
def played(course_of: Callable[[], Course], few_cosines: None, coarse_quadrature: None) -> Played:
    """Return a course of a policy."""
    return play(course_of)


@functools.lru_cache(maxsize=1)
def play(begin: Callable[[], Course]) -> Played:
    """Play a course to its end; every second time it is asked twice."""
    course = begin()
    half, looks, changed = None, [], []
    for instance in course.run(course.steps):
        if instance.t == course.steps // 2:
            half = course.restored()
            half.t = instance.t
        late, twice = instance.t >= course.steps // 2, instance.t % 2 == 0
        before, first = course.digest(), course.look(instance) if late or twice else []
        if late:
            looks.append((instance, first))
        if twice and not (told_alike(first, course.look(instance)) and course.digest() == before):
            changed.append(instance.t)
    return Played(course, half or course.restored(), looks, changed)


def told_alike(first: list[Any], second: list[Any]) -> bool:
    """Tell whether two looks at a decision said the same."""
    try:
        np.testing.assert_equal(first, second)
    except AssertionError:
        return False
    return True


def test_deciding_only_reads_and_repeats_itself(played: Played) -> None:
    assert played.changed == []


def test_a_run_goes_on_from_its_snapshot_to_the_same_bits(played: Played) -> None:
    restored = copy.deepcopy(played.half)
    for same, (instance, look) in zip(restored.run(len(played.looks)), played.looks, strict=True):
        assert same.t == instance.t
        np.testing.assert_equal(restored.look(same), look)
    assert restored.digest() == played.end.digest()


def test_late_shuffled_and_missing_feedback_is_a_fold_of_the_log(played: Played) -> None:
    course = played.end
    log, params = course.log(), course.policy.params
    assert (log.kind != DECIDE).sum() < (log.kind == DECIDE).sum() or not course.patience
    again, folded = course.fresh(), course.fresh()
    assert loop.replay(params, again, RUN, log) == -1
    loop.fold(params, folded, RUN, log, None, None)
    assert snapshot.digest(again) == snapshot.digest(folded) == course.digest()


@each_simulation
def test_a_simulation_in_parts_is_one_simulation(begin: Callable[[], Simulation]) -> None:
    whole, parts, logged = begin(), begin(), begin()
    whole.advance(whole.horizon)
    while parts.trials < parts.horizon:
        parts.advance(max(parts.horizon // 3, 1))
    pages = []
    while logged.trials < logged.horizon:
        pages.append(logged.advance_logged(7))
    once = begin().advance_logged(whole.horizon)
    np.testing.assert_equal(plain(concat(pages), whole.problem), plain(once, whole.problem))
    for run in (parts, logged):
        assert snapshot.digest(run.state) == snapshot.digest(whole.state)
        assert run.t == whole.t
        np.testing.assert_equal(tuple(run.totals), tuple(whole.totals))


def plain(log: Columns, problem: Problem) -> list[Any]:
    """Return all that a log says, whatever its pages were padded with."""
    contexts = [pack_context(context_at(log.context, row), problem) for row in range(len(log.kind))]
    return [*log[:6], contexts, every_mask(log)]


@each_simulation
def test_a_simulation_is_its_replay_its_fold_and_its_steps(begin: Callable[[], Simulation]) -> None:
    run = begin()
    log, params = run.advance_logged(run.horizon), run.params
    replayed, folded, stepped = (run.policy.init(params, run.problem) for _ in range(3))
    assert loop.replay(params, replayed, run.run, log) == -1
    loop.fold(params, folded, run.run, log, None, None)
    step(params, stepped, run.run, log)
    assert {snapshot.digest(state) for state in (replayed, folded, stepped)} == {snapshot.digest(run.state)}


def step(params: Any, state: Any, run: np.uint64, log: Columns) -> None:
    """Take the events of a log one at a time; what is decided must be what is on record."""
    masks, made = every_mask(log), {}
    for row, number in enumerate(log.number.tolist()):
        key = Key(run, number)
        if log.kind[row] == DECIDE:
            instance = Instance(number, context_at(log.context, row), masks[row])
            action, propensity = loop.decide(params, state, instance, key)
            np.testing.assert_equal((action, propensity), (log.action[row], log.propensity[row]))
            made[number] = instance, Decision(log.action[row], propensity)
        else:
            loop.learn(params, state, *made[number], Feedback(float(log.reward[row]), log.detail[row]), key)


@pytest.mark.jit
@pytest.mark.parametrize(
    ("kind", "name"),
    every_run(DIGESTED, [(kind, name) for kind, name in DIGESTED if kind != "move"]),  # see parity/test_interfaces.py
)
def test_compiled_courses_are_those_of_plain_python_to_the_bit(
    kind: ActionKind, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the other kinds golden.json holds all; see parity/test_golden.py."""
    digests = KINDS[kind].digests
    assert digests is not None
    compiled = list(digests(name))
    as_python(monkeypatch)
    assert compiled and compiled == list(digests(name))


@pytest.mark.parametrize("name", policies.names())
def test_problems_of_another_kind_are_refused_by_name(name: str) -> None:
    policy = golden.specimen(name)
    for kind in KINDS.keys() - policy.actions:
        with pytest.raises(InvalidInput, match=f"policy '{name}' decides on .*, but this problem has {HAS[kind]}"):
            check_fit(policy, KINDS[kind].problem)


HAS: dict[ActionKind, str] = {
    "arm": "arms that are all there",
    "move": "arms that stream past",
    "vector": "vectors in a domain",
    "query": "queries within a budget",
}


@pytest.mark.parametrize("name", policies.names())
def test_a_policy_file_says_its_source_state_and_cost(name: str) -> None:
    text = sys.modules[policies.factory(name).__module__].__doc__ or ""
    assert [word for word in ("Source: ", "State: ", "Cost: ") if word not in text] == []
    assert inspect.getdoc(policies.factory(name))


@pytest.mark.parametrize("name", policies.names())
def test_unknown_params_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="no param 'no_such_param'"):
        policies.make(name, no_such_param=1)


@pytest.mark.parametrize("name", policies.names())
def test_a_policy_is_rebuilt_from_its_spec(name: str) -> None:
    policy = golden.specimen(name)
    again = policies.from_spec(json.loads(json.dumps(policy.spec)))
    assert again.name == name
    np.testing.assert_equal(again.params, policy.params)
