"""Golden decisions: what every policy decides on a fixed course, as digests in golden.json, by the policy's version.

`python tests/golden.py` writes the digests of policies that are new or whose version was bumped; it refuses the others,
so that the bits of a policy change only with its version.

Of a long course there is a digest of its beginning as well, for policies that plain Python takes long to play.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import struct
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from support import passing

from onearm.engine import loop, snapshot
from onearm.engine.actions import pack_action
from onearm.engine.domain import Domain, ball, box, product, simplex
from onearm.engine.draws import POLICY, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.problem import fitted, query_problem, state_problem
from onearm.engine.task import best_arm, hypotheses, thresholds
from onearm.engine.vocabulary import ActionKind, Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.policies import catalog

FILE = Path(__file__).with_name("golden.json")
N_ARMS, STEPS, SEED = 5, 300, 20
BEGINNING = 100  # decisions
STATES = 4
LATE = 3  # decisions that the longest delay takes
TASKS = (  # of which a policy that asks fits one
    query_problem(best_arm(5), 15),
    query_problem(thresholds(10), 20),
    query_problem(hypotheses([[0, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]]), 12),
)
SLOTS, PASSING, TRIALS = 8, 40, 20_000  # of a stream
DOMAINS = (
    ball(3, 0.5, [0.25, 0.0, 0.0]),
    box([-1.0, -0.25, 0.0], [1.0, 0.25, 2.0]),
    simplex(4),
    product(ball(2), box([-0.5], [0.25]), simplex(3, 2.0)),
)

# Params for policies that cannot be built without: a new policy with required params adds a line.
SPECIMENS: dict[str, dict[str, Any]] = {
    "adaptive": {"policy": {"name": "squarecb", "params": {}}, "look": 0.1},
    "budget": {"policy": {"name": "squarecb", "params": {}}, "cost": [1, 3, 5, 4, 2, 1, 3, 2, 3, 2], "limit": 2.8},
    "constrained": {
        "policy": {"name": "squarecb", "params": {}},
        "floors": [0.0, 0.03],
        "caps": [1.0, 0.4, 0.3, 0.6, 0.35],
        "groups": [{"name": "first", "arms": [0], "floor": 0.08}],
    },
    "chebcb": {"low": -0.5, "high": 0.5, "reward_max": 1.0},
    "floor": {"minimum": 0.03, "policy": {"name": "ucb1", "params": {}}},
    "loop_mixture": {"model": "river", "span": 10.0},
    "maillard_chain": {"low": -0.5, "high": 0.5},
    "optimistic_ensemble": {"gradient_max": 8.0, "smoothness": 1.0},
    "optimistic_q": {"horizon": 10_000, "span": 1.0, "scale": 0.01},
    "paced_budget": {"policy": {"name": "squarecb", "params": {}}, "cost": [1, 3, 5, 4, 2, 1, 3, 2, 3, 2], "limit": 2},
    "point_gradient": {"policy": {"name": "gradient_descent", "params": {}}},
    "split": {
        "policy": {"name": "tsallis_inf", "params": {}},
        "canary": {"name": "exp3_ix", "params": {}},
        "canary_share": 0.3,
        "control": {"name": "uniform", "params": {}},
        "control_share": 0.1,
    },
    "sticky": {"policy": {"name": "thompson_beta", "params": {}}, "seconds": 40, "units_max": 12},
    "tsallis_inf_binned": {"low": -0.5, "high": 0.5, "reward_max": 1.0},
    "ucrl2_vtr": {"model": "river", "span": 10.0},
}


def specimen(name: str) -> Policy:
    """Return the policy of that name as the tests build it."""
    return catalog.make(name, **SPECIMENS.get(name, {}))


def names(kind: ActionKind) -> list[str]:
    """Return the names of the policies that decide on arms, or on moves."""
    return [name for name, actions in _actions().items() if kind in actions]


def in_states(policy: Policy) -> bool:
    """Whether a policy decides in states alone."""
    return policy.contexts == ("states",)


def without_states() -> list[str]:
    """Return the names of the policies that decide on arms also where these move no state."""
    return [name for name in names("arm") if not in_states(specimen(name))]


@functools.cache
def _actions() -> dict[str, tuple[ActionKind, ...]]:
    """Return what each policy decides on: half of the test files ask for it while they are collected."""
    return {name: specimen(name).actions for name in catalog.names()}


Steps = Iterator[tuple[bytes, Any]]  # what is decided next, and the policy's state, which learns before the next step


def entry(policy: Policy) -> dict[str, Any]:
    """Return the policy's version, the digest of its decisions and that of its last state; and of a long beginning."""
    made, state, beginning = hashlib.sha256(), None, ""
    for n, (decided, state) in enumerate(_course(policy), 1):
        made.update(decided)
        if n == BEGINNING:
            beginning = _so_far(made, state)
    whole = {"decisions": made.hexdigest(), "state": snapshot.digest(state)}
    return {"version": policy.version, "beginning": beginning, **whole}


def first_of_entry(policy: Policy) -> dict[str, Any]:
    """Return what an entry says of the beginning, which is all that is played."""
    steps = list(islice(_course(policy), BEGINNING))
    made = hashlib.sha256(b"".join(decided for decided, _ in steps))
    return {"version": policy.version, "beginning": _so_far(made, steps[-1][1])}


def _so_far(made: Any, state: Any) -> str:
    """Return one digest of decisions and of the state behind them."""
    return hashlib.sha256(f"{made.hexdigest()} {snapshot.digest(state)}".encode()).hexdigest()


def _course(policy: Policy) -> Steps:
    courses: dict[ActionKind, Callable[[Policy], Steps]] = {
        "arm": _course_of_states if in_states(policy) else _course_of_arms,
        "move": _course_of_moves,
        "vector": _course_of_vectors,
        "query": _course_of_queries,
    }
    return courses[policy.actions[0]](policy)


def _course_of_moves(policy: Policy) -> Steps:
    """Yield all moves in a stream of which neither the length nor the trials are known, and in one of known ones."""
    for arms, trials in ((0, None), (PASSING, TRIALS)):
        state = passing.fresh(policy, arms, trials, SLOTS)
        world = passing.Passing(SLOTS, PASSING)
        moves = passing.play(policy, state, world, 0, STEPS if trials is None else TRIALS, TRIALS)
        yield pack_action(np.array(moves)), state


def task_of(policy: Policy) -> Problem:
    """Return the first problem of TASKS that a policy fits."""
    for problem in TASKS:
        try:
            chosen = fitted(policy, problem)
            chosen.init(chosen.params, problem)
        except InvalidInput:
            continue
        return problem
    raise AssertionError(f"{policy.name} fits none of TASKS: add one")


def _course_of_queries(policy: Policy) -> Steps:
    """Yield a policy's queries and recommendations; answers come late."""
    problem = task_of(policy)
    assert problem.horizon is not None and problem.task is not None
    policy = fitted(policy, problem)
    run = run_key(SEED, 0, POLICY)
    state = policy.init(policy.params, problem)
    pending: list[tuple[Instance, Decision]] = []
    for t in range(problem.horizon):
        instance = Instance(
            t, np.zeros(0), np.roll(np.resize(_mask(t), problem.n_arms), t) | (np.arange(problem.n_arms) == 0)
        )
        decision = Decision(*loop.decide(policy.params, state, instance, Key(run, t)))
        decided = struct.pack("<qd", decision.action, _one_nan(decision.propensity))
        pending.append((instance, decision))
        while len(pending) > t % (LATE + 1):
            late, then = pending.pop(0)
            answer = {"normal": 1.5, "signs": 1.0, "bits": 1.0}[problem.task.answers] * (then.action % 3 == late.t % 2)
            answer = answer if problem.task.answers != "signs" or answer else -1.0
            loop.learn(policy.params, state, late, then, Feedback(0.0, np.array([answer])), Key(run, late.t))
        yield decided + struct.pack("<q", loop.recommendation(policy.params, state, Key(run, t + 1))), state


def fitting_domains(policy: Policy) -> list[Domain]:
    """Return the domains, of all kinds, that a policy decides in."""
    fitting = []
    for domain in DOMAINS:
        try:
            policy.init(policy.params, problem_of_vectors(policy, domain))
        except InvalidInput:
            continue
        fitting.append(domain)
    return fitting


def problem_of_vectors(policy: Policy, domain: Domain) -> Problem:
    """Return a problem over a domain whose feedback is what the policy learns from."""
    return Problem(0, horizon=STEPS, domain=domain, feedback=policy.feedbacks[0])


def _course_of_vectors(policy: Policy) -> Steps:
    """Yield a policy's points in every domain that it takes.

    The reward is -|x - c|^2 / 2 for a point c that moves, some of it late or never; of an example it is -|a . x - b|.
    """
    for domain in fitting_domains(policy):
        problem = problem_of_vectors(policy, domain)
        state = policy.init(policy.params, problem)
        run = run_key(SEED, 0, POLICY)
        due: list[tuple[int, Instance, Decision, Feedback]] = []
        for t in range(STEPS):
            instance = Instance(t, np.zeros(0), np.ones(1, np.bool_))
            point, propensity = loop.decide(policy.params, state, instance, Key(run, t))
            decision = Decision(point.copy(), propensity)
            yield pack_action(decision.action) + struct.pack("<d", _one_nan(propensity)), state
            if t % 11 != 10:
                due.append((t + t % (LATE + 1), instance, decision, _feedback_on(problem, decision.action, t)))
            for _, then, before, feedback in [one for one in due if one[0] == t]:
                loop.learn(policy.params, state, then, before, feedback, Key(run, then.t))
            due = [one for one in due if one[0] > t]


def _feedback_on(problem: Problem, point: Array, t: int) -> Feedback:
    """Return what the world reveals of a point."""
    assert problem.domain is not None
    d = problem.domain.dimension
    centre = np.array([(t * (j + 3)) % 16 / 8.0 - 1.0 for j in range(d)])
    if problem.feedback == "example":
        value = -abs(float(np.cumsum(centre * point)[-1]) - t % 5 / 4.0)
        return Feedback(value, np.array([*centre, t % 5 / 4.0]))
    away = [centre - part for part in point.reshape(-1, d)]
    rewards = [-0.5 * float(np.cumsum(steps * steps)[-1]) for steps in away]  # the same bits on every Python: not `sum`
    detail = {"gradient": away[0].tolist(), "losses": centre.tolist(), "two_rewards": rewards}.get(problem.feedback, [])
    return Feedback(sum(rewards) / len(rewards), np.array(detail))


def _course_of_arms(policy: Policy) -> Steps:
    """Yield a policy's decisions.

    The course has units, masks, late rewards and decisions without one, and contexts for policies that live by them;
    rewards are 0, 1 or an eighth part, so they are exact.
    """
    length = policy.context_length_max or 0
    problem = Problem(N_ARMS, (length,), horizon=STEPS)
    state = policy.init(policy.params, problem)
    run = run_key(SEED, 0, POLICY)
    due: list[tuple[int, Instance, Decision]] = []
    for t in range(STEPS):
        unit = np.uint64((t * 7 % 16) * 0x0F1F2F3F4F5F6F7F)  # of 15 units and nobody, once a second
        instance = Instance(t, np.full(length, t % 16 / 8.0 - 1.0), _mask(t), unit, t * 1_000_000)
        decision = Decision(*loop.decide(policy.params, state, instance, Key(run, t)))
        assert instance.available[decision.action]
        yield struct.pack("<qd", decision.action, _one_nan(decision.propensity)), state
        if t % 11 != 10:
            due.append((t + t % (LATE + 1), instance, decision))
        for _, then, before in [one for one in due if one[0] == t]:
            feedback = Feedback(_reward(then.t, before.action), np.zeros(0))
            loop.learn(policy.params, state, then, before, feedback, Key(run, then.t))
        due = [one for one in due if one[0] > t]


def _course_of_states(policy: Policy) -> Steps:
    """Yield a policy's decisions in states.

    Three units by turns, some of which end and begin anew; masks, late transitions and decisions without one.
    """
    problem = dataclasses.replace(state_problem(STATES, N_ARMS), horizon=STEPS)
    state, run = policy.init(policy.params, problem), run_key(SEED, 0, POLICY)
    due: list[tuple[int, Instance, Decision, Feedback]] = []
    places, begins = [0, 2, 3], [1.0, 1.0, 1.0]
    for t in range(STEPS):
        unit = t % len(places)
        instance = Instance(t, np.array([float(places[unit]), begins[unit]]), _mask(t))
        decision = Decision(*loop.decide(policy.params, state, instance, Key(run, t)))
        assert instance.available[decision.action]
        yield struct.pack("<qd", decision.action, _one_nan(decision.propensity)), state
        after = _next_state(t, places[unit], decision.action)
        if t % 11 != 10:
            feedback = Feedback(_reward(t, decision.action), np.array([float(after)]))
            due.append((t + t % (LATE + 1), instance, decision, feedback))
        for _, then, before, feedback in [one for one in due if one[0] == t]:
            loop.learn(policy.params, state, then, before, feedback, Key(run, then.t))
        due = [one for one in due if one[0] > t]
        places[unit], begins[unit] = (after, 0.0) if after < STATES else (t % STATES, 1.0)


def _next_state(t: int, s: int, action: int) -> int:
    """Return one of four states, or now and then the end: higher ones rather by higher actions."""
    mixed = (t * 2654435761 + s * 40503 + action * 69069) % 4294967296 >> 13
    return STATES if mixed % 17 == 0 else (s + (mixed % N_ARMS < action) - (mixed % 3 == 0)) % STATES


def difference(name: str, golden: dict[str, Any] | None, now: dict[str, Any]) -> str | None:
    """Say what is wrong with a policy whose digests, as many as are given, are not the golden ones, and what to do."""
    if golden is None:
        return f"{FILE.name} does not know the policy {name!r}: run `python tests/golden.py`"
    if now.items() <= golden.items():
        return None
    if golden["version"] != now["version"]:
        return (
            f"{name!r} has version {now['version']}, and {FILE.name} holds version {golden['version']}: "
            "run `python tests/golden.py`"
        )
    changed = " and ".join(part for part, digest in now.items() if golden.get(part) != digest)
    file = catalog.factory(name).__module__.removeprefix("onearm.").replace(".", "/") + ".py"
    return (
        f"the {changed} of {name!r} changed, and its version is still {now['version']}: logs on record could not be "
        f"verified. If that is meant, bump `version` in {file}, then run `python tests/golden.py`"
    )


def read() -> dict[str, dict[str, Any]]:
    """Return the golden entries by the policy's name."""
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text())
    return found


def main() -> int:
    """Rewrite golden.json; return 1 where a policy changed without its version."""
    golden = read()
    now = {name: entry(specimen(name)) for name in catalog.names()}
    code = 0
    for name, found in now.items():
        known = golden.get(name)
        if known is not None and known != found and known["version"] == found["version"]:
            print(difference(name, known, found), file=sys.stderr)
            now[name] = known
            code = 1
        elif known != found:
            print(f"{name}: version {found['version']} written")
    FILE.write_text(json.dumps(now, indent=1) + "\n")
    return code


def _mask(t: int) -> np.ndarray[Any, Any]:
    """Return all arms, but on every third decision only some of them."""
    mask = np.ones(N_ARMS, np.bool_)
    if t % 3 == 2:
        mask[t % N_ARMS] = mask[(t // 7) % N_ARMS] = False
    return mask


def _reward(t: int, action: int) -> float:
    """Return 1 or 0, more often 1 for arms further up; an eighth part at every fifth decision."""
    mixed = (t * 2654435761 + action * 40503) % 4294967296 >> 13
    return (mixed % 9) / 8 if t % 5 == 4 else float(mixed % N_ARMS < action)


def _one_nan(propensity: float) -> float:
    """Return the propensity; there are many NaN, and all of them say the same: unknown."""
    return math.nan if math.isnan(propensity) else propensity


if __name__ == "__main__":
    sys.exit(main())
