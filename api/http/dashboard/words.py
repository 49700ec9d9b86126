"""What pages say in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....engine.errors import counted
from ...experiment.lineup_schemas import Guard
from ...service.live import Live
from .figures import count, mean, number, share

COORDINATES = 4  # of a point that are shown in a table


def verdict_of(
    live: Live,
    told: dict[str, Any],
    whole: tuple[float, float] | None,
    recommended: dict[str, Any] | None,
    waiting: int,
) -> str:
    """Return in one sentence what an experiment came to so far.

    `whole` is the interval of the mean of all rewards, and so many are `waiting` to be learned. No action is said to be
    the best: means of actions do not tell.
    """
    if not live.number:
        return "Nothing was decided yet."
    if recommended is not None:
        return _recommendation(recommended)
    if told.get("arms"):
        return _of_arms(told, whole, waiting)
    if "regret" in told:
        return _of_points(told)
    return f"{counted(live.number, 'decision')}, {counted(live.rewards, 'reward')}."


def _of_arms(told: dict[str, Any], whole: tuple[float, float] | None, waiting: int) -> str:
    if whole is None:
        so_far = f"{counted(told['rewards'], 'reward')} for {counted(told['decisions'], 'decision')} so far"
        if waiting:
            learned = counted(told["rewards"], "reward is", "rewards are")
            so_far = f"{learned} learned, and {counted(waiting, 'came that waits', 'came that wait')} for their windows"
        return f"Too early to tell: {so_far}."
    low, high = (mean(end, told["reward_stderr"]) for end in whole)
    most = max(told["arms"], key=lambda arm: arm["decisions"])
    total = sum(arm["decisions"] for arm in told["arms"])
    return (
        f"A decision earned {mean(told['reward_mean'], told['reward_stderr'])} on average (95 % {low} to {high}). "
        f"{most['arm_id']} was taken most, {share(most['decisions'] / total)} of the time."
    )


def _of_points(told: dict[str, Any]) -> str:
    if told.get("regret") is not None:
        proven = told.get("certificate")
        bound = "" if proven is None else f", and proves that it is at most {number(proven)}"
        return f"It lost {number(told['regret'])} against the {told['regret_kind'].split(',')[0].split(':')[0]}{bound}."
    return f"The mean reward is {mean(told['reward_mean'], told['reward_stderr'])}."


def _recommendation(said: dict[str, Any]) -> str:
    if "hypothesis_id" in said:
        left = "" if said["final"] else f" after {count(said['answered'])} of {count(said['budget'])} answers"
        return f"It recommends {said['hypothesis_id']}{left}."
    what = "It is committed to" if said["committed"] else "It would stay with"
    return f"{what} {said['arm_id']}, which earned {mean(said['mean'])} in {count(said['pulls'])} pulls."


def told_by(decisions: int, units: int) -> str:
    """Return what the value of a policy is told by: of units, whom decisions are for, the first one counts.

    >>> told_by(10, 6), told_by(10, 10), told_by(1, 0)
    ('6 units, 4 decisions', '10 units', '1 decision')
    """
    said = [counted(units, "unit")] if units else []
    return ", ".join(said if units == decisions and units else [*said, counted(decisions - units, "decision")])


def guard_in_words(guard: Guard) -> str:
    """Return what a guard will do.

    >>> guard_in_words(Guard())
    'promoted once it is surely worth more than live, retired once it is surely worth less (wrong in 5\u202f% at most)'
    >>> guard_in_words(Guard("control", promote_above=None, demote_below=-0.1))
    'retired once it is surely worth less than control by 0.1 (wrong in 5\u202f% at most)'
    """
    said: list[str] = []
    for does, limit, how, sign in (
        ("promoted", guard.promote_above, "more", 1.0),
        ("retired", guard.demote_below, "less", -1.0),
    ):
        if limit is not None:
            than = f" than {guard.against}" if not said else ""
            by = (
                f" by {number(sign * limit)}"
                if sign * limit > 0
                else f" or at most {number(-sign * limit)} {_other(how)}"
            )
            said.append(f"{does} once it is surely worth {how}{than}{by if limit else ''}")
    return f"{', '.join(said) or 'it does nothing'} (wrong in {share(guard.alpha)} at most)"


def gap_in_words(gap: Mapping[str, Any], without_floor: bool) -> str:
    """Return what is known of a difference of two policies.

    >>> gap_in_words({"against": "live", "value": 0.1, "low": 0.05, "high": 0.2}, False)
    'surely more'
    >>> gap_in_words({"against": "live", "value": 0.1, "low": -0.9, "high": 0.8}, True)
    'not told apart yet: live has no floor, and what it hardly tries tells little of others, so give it one'
    """
    low, high = gap["low"], gap["high"]
    if low is None or high is None:
        return "how sure that is cannot be told: declare the range of rewards (reward.range)"
    if low > 0:
        return "surely more"
    if high < 0:
        return "surely less"
    if not without_floor:
        return "not told apart yet"
    return "not told apart yet: live has no floor, and what it hardly tries tells little of others, so give it one"


def _other(how: str) -> str:
    return "less" if how == "more" else "more"


def what_of(told: dict[str, Any]) -> str:
    """Return what was decided, of the record of a decision."""
    if told.get("query_id") is not None:
        return f"asked {told['query_id']}"
    if told.get("point") is not None or told.get("points") is not None:
        point = told.get("point") or told["points"][0]
        more = ", ..." if len(point) > COORDINATES else ""
        return f"({', '.join(number(x) for x in point[:COORDINATES])}{more})"
    if told.get("move") is not None:
        return f"{told['move']} {told['action_id'] or 'the end'}"
    return str(told["action_id"])
