"""What a run will take, before it: pulls of an arm, the share of the trials that explores, and whether that can pay.

The rule itself is run for this, on a few arms that all pay the same: nothing is harder to tell apart, so each of them
gets about as many pulls as an arm ever gets. Only `record_ladder` can take more, where means rise all the time: up to
four times as many.

>>> found = plan(trials=10**9, arms=1000)
>>> (found.pulls, round(found.explored, 3), round(found.missed, 4), found.handles)
(40000.0, 0.04, 0.0093, 2)
>>> plan(trials=500_000, arms=500, rule="naive_commit").warnings[0]
'exploring can take 62 % of the trials, and more than a third never pays: allow 7 times the trials, or fewer arms, or \
take a rule that pulls less'
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ...engine import snapshot
from ...engine.errors import InvalidInput, as_seen
from ...engine.problem import (
    REWARD_MAX,
    SLOTS_MAX,
    STREAM_MAX,
    TRIALS_MAX,
    check_param,
    check_problem,
    fitted,
)
from ...engine.vocabulary import Policy, Problem
from ...policies import catalog
from .holding import Holding

RULE = "early_drop"
SAMPLE = 64  # arms that the rule is run on
PAYS = 1 / 3  # of the trials may explore: what balances a regret of T^(2/3)
OFF, OFF_COSTS = 4.0, 0.26  # where the trials are guessed wrong by so much, the regret is higher by this at the most
THEORY_PAYS = 1e13  # trials for each arm

Rule = str | dict[str, Any]


class Plan(NamedTuple):
    """What a run takes."""

    eps: float  # (K / T)^(1/3) of the range of the rewards: the error that the rules aim at
    pulls: float  # of each arm on average, where all are as good as the best
    explored: float  # share of the trials, about, where all arms are as good as the best
    missed: float  # by about how much an arm that was seen can be better than the chosen one, in rewards
    regret: float  # about, in rewards, on a hard stream: all that explores is lost, and `missed` in each trial after it
    handles: int  # that are held at the same time, at the most
    state_bytes: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def plan(
    trials: int, arms: int, rule: Rule = RULE, *, slots: int = 1, reward_range: tuple[float, float] = (0.0, 1.0)
) -> Plan:
    """Return about what `rule` takes to find the best of `arms` arms that come once, in `trials` pulls in all."""
    low, high = check_range(reward_range)
    problem = stream_problem(trials, arms, slots)
    if problem.horizon is None or problem.n_arms == 0:
        raise InvalidInput("bad_plan", "a plan needs both the trials and the arms: orders of magnitude will do")
    policy = rule_policy(rule, high - low, problem)
    holding = _tried(policy, problem, 0.5 * (high - low))
    pulls = holding.made / max(holding.read, 1)
    explored = min(pulls * arms / trials, 1.0)
    width = high - low
    missed = missed_about(arms, pulls, width)
    return Plan(
        eps=width * (arms / trials) ** (1 / 3),
        pulls=pulls,
        explored=explored,
        missed=missed,
        regret=trials * (explored * width + (1.0 - explored) * missed),
        handles=slots + 1,
        state_bytes=snapshot.size(holding.state),
        warnings=_warnings(trials, arms, policy, pulls),
        notes=(
            f"an order of magnitude will do for the trials: off by a factor of {OFF:g}, regret is at most "
            f"{OFF_COSTS:.0%} higher".replace("%", " %"),
        ),
    )


def missed_about(arms: int, pulls: float, width: float) -> float:
    """Return by about how much the best of `arms` can be better than the chosen one: sqrt(ln K / (2 s)) of the range.

    It is the size of the largest of K errors of means of s = `pulls` rewards each.
    """
    if pulls <= 0.0:
        return 0.0 if arms <= 1 else width
    return width * min(math.sqrt(math.log(max(arms, 1)) / (2.0 * pulls)), 1.0)


def budgeted(budget: float, arms: int) -> int:
    """Return for how many trials of `arms` arms a budget of pulls that explore is right: K (E / K)^1.5.

    >>> budgeted(10_000, arms=100)
    100000
    """
    check_param("budget", budget, low=1.0)
    return min(max(round(arms * (budget / arms) ** 1.5), 1), TRIALS_MAX)


def stream_problem(trials: int | None, arms: int | None, slots: int) -> Problem:
    """Check the numbers of a stream, and return its problem."""
    for name, value, most in (("trials", trials, TRIALS_MAX), ("arms", arms, STREAM_MAX), ("slots", slots, SLOTS_MAX)):
        if value is None and name != "slots":
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            power = f"2^{most.bit_length() - 1}" if most > SLOTS_MAX else str(most)
            raise InvalidInput(
                f"bad_{name}", f"{name} is {as_seen(value)}: it must be a whole number from 1 to {power}"
            )
    problem = Problem(arms or 0, horizon=trials, slots=slots)
    check_problem(problem)
    return problem


def rule_policy(rule: Rule, width: float, problem: Problem) -> Policy:
    """Return the policy of a rule for rewards of such a range: a name, name:{json params}, or a spec."""
    if not isinstance(rule, (str, dict)):
        raise InvalidInput("bad_spec", f"rule is {as_seen(rule)}: it must be a name, name:{{json params}}, or a spec")
    policy = catalog.parse(rule) if isinstance(rule, str) else catalog.from_spec(rule)
    if policy.spec["params"].get("scale") == 1.0:  # nobody said otherwise
        policy = catalog.make(policy.spec["name"], **policy.spec["params"] | {"scale": width})
    return fitted(policy, problem)


def check_range(reward_range: Any) -> tuple[float, float]:
    """Return the least and the largest reward."""
    try:
        low, high = reward_range
    except (TypeError, ValueError):
        raise InvalidInput(
            "bad_range", f"reward_range is {as_seen(reward_range)}: it must be the least and the largest reward"
        ) from None
    low = check_param("reward_range[0]", low, low=-REWARD_MAX, high=REWARD_MAX)
    high = check_param("reward_range[1]", high, low=-REWARD_MAX, high=REWARD_MAX)
    if not low < high:
        raise InvalidInput("bad_range", f"reward_range is ({low:g}, {high:g}): the second must be larger")
    return low, high


def _tried(policy: Policy, problem: Problem, mean: float) -> Holding:
    """Run the rule on the first few arms of a stream in which all pay the same."""
    holding = Holding(policy, problem, seed=0)
    holding.begin()
    while not (holding.done or holding.over or (holding.slot < 0 and holding.read == SAMPLE)):
        if holding.slot < 0:
            holding.arrive(None)
        else:
            holding.learn(mean * holding.pulls, holding.pulls)
        holding.leaving.clear()
    return holding


def _warnings(trials: int, arms: int, policy: Policy, pulls: float) -> tuple[str, ...]:
    found = []
    share = arms * pulls / trials
    if arms * (pulls - 1.0) > trials * PAYS:  # pulls are rounded up
        factor = math.ceil((share / PAYS) ** 3)  # what explores grows with T^(2/3)
        found.append(
            f"exploring can take {min(share, 1.0) * 100:.0f} % of the trials, and more than a third never pays: allow "
            f"{factor} times the trials, or fewer arms, or take a rule that pulls less"
        )
    if trials < arms:
        found.append(
            f"there are fewer trials than arms: {arms - trials} arms cannot be pulled once; allow more trials, or "
            "choose among fewer arms"
        )
    if policy.spec["params"].get("constants") == "theory" and trials / arms < THEORY_PAYS:
        found.append(
            f"the constants of the theory pay where there are {THEORY_PAYS:.0e} trials for each arm, and there are "
            f"{trials / arms:.0f}: take those of practice"
        )
    return tuple(found)
