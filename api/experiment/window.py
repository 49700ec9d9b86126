"""The window of a decision: for how long rewards are waited for, what they are together, and what silence means.

>>> window = window_of({"wait_time": "30m", "default": 0}, (0.0, 1.0))
>>> window.wait, window.together([]), window.together([1.0, 0.5])
(1800000000, 0.0, 1.0)
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...engine.errors import InvalidInput, as_seen
from ...engine.problem import check_reward
from ...engine.vocabulary import Problem

UNITS = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}  # microseconds
WAIT_MAX = 400 * UNITS["d"]
FIELDS = ("wait_time", "default", "learn", "aggregation", "late")  # of the `reward` of a spec
STATES_WARNING = (
    "silence does not say which state came next: a decision that closes with reward.default counts in means, and "
    "teaches the policy nothing"
)
AT_ONCE_WARNING = (
    "rewards are learned at once, and silence only {wait_time} after its decision: until then the policy knows the "
    'decisions that were rewarded soon, and decides worse for it; leave reward.learn out, or say "at_close", unless a '
    "reward is as soon where it is low"
)
_WAIT = re.compile("([1-9][0-9]{0,8})([smhd])")


def _mean(rewards: Sequence[float]) -> float:
    return min(max(math.fsum(rewards) / len(rewards), min(rewards)), max(rewards))  # a rounded one may lie outside


AGGREGATIONS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "earliest": lambda rewards: rewards[0],
    "last": lambda rewards: rewards[-1],
    "sum": math.fsum,
    "mean": _mean,
    "median": statistics.median,
    "min": min,
    "max": max,
}


class Window(NamedTuple):
    """What an experiment says of the windows of its decisions."""

    wait_time: str  # as "30m"
    default: float | None  # what is learned where nothing came; None: nothing is
    aggregation: str
    late: str  # what becomes of a reward that comes too late: "refuse", "record", or "learn" instead of the default
    learn: str = "at_close"  # when it is learned what came: "at_close" of the window, or "at_once" when it comes

    @property
    def wait(self) -> int:
        """How long a window is open, in microseconds."""
        return _microseconds(self.wait_time)

    @property
    def learns_at_once(self) -> bool:
        """Whether the first reward of a decision is learned when it comes."""
        return self.learn == "at_once"

    def warnings(self, problem: Problem) -> list[str]:
        """Return what whoever declares it for such a problem must know."""
        if self.default is None:
            return []
        if problem.states is not None:
            return [STATES_WARNING]
        return [AT_ONCE_WARNING.format(wait_time=self.wait_time)] if self.learns_at_once else []

    def together(self, rewards: Sequence[float]) -> float | None:
        """Return what the rewards of a decision come to, in the order in which they came; the default where none did.

        None where nothing is to be learned.
        """
        return AGGREGATIONS[self.aggregation](rewards) + 0.0 if rewards else self.default

    def to_json(self) -> dict[str, Any]:
        """Return what `window_of` reads, with all that was left out."""
        default = {} if self.default is None else {"default": self.default}
        said = {"learn": self.learn, "aggregation": self.aggregation, "late": self.late}
        return {"wait_time": self.wait_time, **default, **said}


def window_of(reward: Mapping[str, Any], limits: tuple[float, float]) -> Window | None:
    """Return the window that the `reward` of a spec declares, None where it declares none.

    The default must lie within the limits, as every reward. Raises `InvalidInput` ("bad_window").
    """
    if "wait_time" not in reward:
        if there := [field for field in FIELDS if field in reward]:
            raise InvalidInput(
                "bad_window", f'reward.{there[0]} is of no use without reward.wait_time: add one, such as "30m"'
            )
        return None
    wait_time = reward["wait_time"]
    if not isinstance(wait_time, str) or not _WAIT.fullmatch(wait_time) or _microseconds(wait_time) > WAIT_MAX:
        raise InvalidInput(
            "bad_window",
            f"reward.wait_time is {as_seen(wait_time, 40)}: it must be a time from 1s to 400d, a whole number and s, "
            'm, h or d, such as "30m"',
        )
    default = reward.get("default")
    if default is not None:
        try:
            default = check_reward(default, limits)
        except InvalidInput as error:
            raise InvalidInput("bad_window", f"reward.default: {error}") from None
    learn = _one_of(reward, "learn", ("at_close", "at_once"))
    aggregation = _one_of(reward, "aggregation", tuple(AGGREGATIONS))
    if learn == "at_once" and aggregation != "earliest":
        raise InvalidInput(
            "bad_window",
            f'reward.learn is "at_once", which learns the first reward when it comes, and reward.aggregation is '
            f'"{aggregation}", which is not known before the last has come: leave one of them out',
        )
    late = _one_of(reward, "late", ("refuse", "record", "learn"))
    if late == "learn" and default is None:
        raise InvalidInput(
            "bad_window", 'reward.late is "learn", which corrects the default, and there is none: add reward.default'
        )
    return Window(wait_time, default, aggregation, late, learn)


def _one_of(reward: Mapping[str, Any], field: str, known: tuple[str, ...]) -> str:
    """Return what a field says, the first of what it may say where it is left out."""
    said = reward.get(field, known[0])
    if said in known:
        return str(said)
    raise InvalidInput("bad_window", f"reward.{field} is {as_seen(said, 40)}: it must be {' or '.join(known)}")


def _microseconds(wait_time: str) -> int:
    return int(wait_time[:-1]) * UNITS[wait_time[-1]]
