"""What can be decided, seen and revealed: checks at the boundary, before anything is written.

>>> check_reward(float("nan"))
Traceback (most recent call last):
onearm.engine.errors.InvalidInput: the reward is nan: it must be a finite number from -1e+100 to 1e+100
"""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from .choices import ARMS_MAX as ARMS_MAX  # "X as X": found here by those who import it
from .choices import IN_WORDS, Arms, Queries, Vectors
from .choices import PULLS_MAX as PULLS_MAX
from .choices import REWARD_MAX as REWARD_MAX
from .choices import SLOTS_MAX as SLOTS_MAX
from .choices import STREAM_MAX as STREAM_MAX
from .errors import InvalidInput, as_seen
from .task import Task
from .vocabulary import Array, Policy, Problem, RewardRange

TRIALS_MAX = 2**62  # of a stream
HORIZON_MAX = 2**53  # decisions: exact as floats
FLOAT_MAX = sys.float_info.max
SEED_MAX = 2**64 - 1
ANY_REWARD = (-REWARD_MAX, REWARD_MAX)
WIDTH_MIN = 1e-100  # of a range of rewards: its inverse and all parts are finite
WAY_OUT = (
    "at creation declare the range that rewards have (reward.range; in Python reward_range), or none with a policy "
    "that takes any, like thompson_any"
)

_spans: ContextVar[dict[str, Any] | None] = ContextVar("spans", default=None)  # of params that are checked, if noted


def check_problem(problem: Problem) -> None:
    """Refuse a problem without arms or with more than a million, with a horizon of more than 2^53, or with other tags.

    A stream may have up to 2^53 arms, or an unknown number of them, and a horizon of up to 2^62 trials.
    """
    problem.choice.check(problem.context_shape, problem.nonzeros)
    power = problem.choice.trials_power
    if problem.horizon is not None and not 1 <= problem.horizon <= 2**power:
        raise InvalidInput(
            "bad_horizon",
            f"the horizon is {as_seen(problem.horizon)}: it must be a whole number from 1 to 2^{power}, or left out",
        )
    if problem.tags and not (len(problem.tags) == problem.n_arms and all(map(_are_strings, problem.tags))):
        raise InvalidInput(
            "bad_tags",
            f"the tags are {as_seen(problem.tags)}, and there are {problem.n_arms} arms: give a tuple of strings for "
            "each arm, () where it has none, or leave them out",
        )


def _are_strings(tags: Any) -> bool:
    return isinstance(tags, tuple) and all(isinstance(tag, str) for tag in tags)


def smaller(problem: Problem, halves: int) -> Problem:
    """Return a problem with half of the arms, numbers and dimensions, so many times, but one at least.

    Streams and tasks stay as they are: both are small.

    >>> small = smaller(Problem(10, (400,)), 3)
    >>> small.n_arms, small.context_shape
    (1, (50,))
    """

    def fewer(n: int) -> int:
        return max(1, n >> halves) if n else 0

    shape = tuple(map(fewer, problem.context_shape))
    match problem.choice:
        case Arms(n_arms, states=states) if states is not None:
            return dataclasses.replace(problem, n_arms=fewer(n_arms), states=fewer(states))
        case Arms(n_arms):
            return dataclasses.replace(problem, n_arms=fewer(n_arms), context_shape=shape)
        case Vectors(domain):
            parts = ((part, fewer(len(part.low))) for part in domain.parts)
            cut = tuple(dataclasses.replace(part, low=part.low[:n], high=part.high[:n]) for part, n in parts)
            return dataclasses.replace(problem, domain=dataclasses.replace(domain, parts=cut), context_shape=shape)
        case _:
            return dataclasses.replace(problem, context_shape=shape)


def state_problem(states: int, n_arms: int, reward_range: tuple[float, float] | None = (0.0, 1.0)) -> Problem:
    """Return the problem of so many arms whose choice moves a state.

    >>> state_problem(20, 2).context_kind
    'states'
    """
    return Problem(n_arms, (2,), feedback="transition", reward_range=reward_range, states=states)


def query_problem(task: Task, budget: int | None) -> Problem:
    """Return the problem of a task whose answer is due after `budget` queries."""
    return Problem.of(Queries(task), horizon=budget)


def fitted(policy: Policy, problem: Problem) -> Policy:
    """Return the policy for a problem: checked, and with what it left open until the problem is known.

    Everything that pairs a policy with a problem takes its params from here.
    """
    check_fit(policy, problem)
    if policy.resolve is not None:
        policy = policy.resolve(problem)
    if problem.reward_range is None or policy.reward_range in (None, problem.reward_range):
        return policy
    check_same_range(policy, problem.reward_range)
    return dataclasses.replace(policy, params=_ranged(policy.params, RewardRange.of(*problem.reward_range)))


def settled(policy: Policy, asked: dict[str, Any], **found: Any) -> Policy:
    """Return a policy with params that were left open until the problem was known; `asked` has all of its spec."""
    spec = {"name": policy.name, "params": asked | found}
    return dataclasses.replace(policy, params=policy.params._replace(**found), spec=spec, resolve=None)


def check_same_range(policy: Policy, limits: tuple[float, float]) -> None:
    """Refuse a policy whose `reward_max` was given, and is not the highest reward of the declared range."""
    own = policy.reward_range
    if own not in (None, (0.0, 1.0)) and own[1] != limits[1]:
        raise InvalidInput(
            "bad_range",
            f"the reward_max of policy {policy.name!r} is {own[1]:g}, but rewards are declared to lie in "
            f"[{limits[0]:g}, {limits[1]:g}]: leave reward_max out",
        )


def check_fit(policy: Policy, problem: Problem) -> None:
    """Refuse a policy that does not decide what a problem asks, or cannot read its contexts."""
    if problem.action_kind not in policy.actions:
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy {policy.name!r} decides on {IN_WORDS[policy.actions[0]]}, but this problem has "
            f"{IN_WORDS[problem.action_kind]}: take another policy (see `onearm policies`)",
        )
    if problem.feedback not in (*policy.feedbacks, "cost", "transition"):  # who learns neither leaves it alone
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy {policy.name!r} learns from {_TELLS[policy.feedbacks[0]]}, but this problem reveals "
            f"{_TELLS[problem.feedback]}: {_TOLD_BY.get(policy.feedbacks[0], 'take another policy')} "
            "(see `onearm policies`)",
        )
    if (kind := problem.context_kind) not in policy.contexts:
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy {policy.name!r} decides on {_READS[policy.contexts[0]]}, but this problem has {_READS[kind]}: "
            f"{_INSTEAD[kind]}",
        )
    most, length = policy.context_length_max, problem.context_shape[-1]
    if most is not None and length > most:
        raise InvalidInput(
            "policy_does_not_fit",
            f"policy {policy.name!r} reads contexts of up to {most} numbers, but this problem has {length}: leave "
            "some out, or take another policy (see `onearm policies`)",
        )


def _ranged(params: Any, wanted: RewardRange) -> Any:
    """Return the params of a policy for rewards in another range, those of policies inside as well."""
    if isinstance(params, RewardRange):
        return wanted
    if not isinstance(params, tuple) or not hasattr(params, "_fields"):
        return params
    return type(params)(*(_ranged(field, wanted) for field in params))


_TELLS = {
    "reward": "the reward of what was decided",
    "gradient": "the gradient of the loss",
    "losses": "the loss of every coordinate",
    "two_rewards": "the rewards of two points",
    "example": "an example, (a, b), of a known loss",
    "answer": "the answer to a query",
    "cost": "the reward of what was decided, and its cost",
    "transition": "the reward of what was decided, and the state that came next",
}
_TOLD_BY = {"transition": "say what the states are (problem.states; in Python states), or take another policy"}
_READS = {
    "dense": "arms that are numbered once for all",
    "actions": "a row of numbers for each action",
    "named": "named features of each action",
    "states": "states that decisions move",
}
_INSTEAD = {
    "dense": "offer actions with features, or take another policy (see `onearm policies`)",
    "actions": "take a policy that reads the features of actions, like squarecb or linucb",
    "named": "take a policy that reads named features, like squarecb, or give them a dimension (up to 1024)",
    "states": "take one that learns how states move, like half_visit, or one that reads no context, like ucb1",
}


def check_seed(seed: int) -> int:
    """Return a seed from 0 to 2^64 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= SEED_MAX:
        raise InvalidInput("bad_seed", f"the seed is {as_seen(seed)}: it must be a whole number from 0 to 2^64 - 1")
    return seed


def check_wrapped(policy: Any, example: str = "ucb1") -> None:
    """Refuse what a wrapper is put around that draws by another law; `example` is the name of one that would do."""
    check_inside(policy, example)
    if policy.constrained is not None:
        raise InvalidInput(
            "constraints_inside",
            f"policy {policy.name!r} keeps to floors and caps, and a wrapper around it would not: put constrained "
            "outside",
        )


def check_inside(policy: Any, example: str = "ucb1") -> None:
    """Refuse what a wrapper is put around if it is no policy, or gives again what was given."""
    if not isinstance(policy, Policy):
        raise InvalidInput(
            "bad_param", f'policy is {as_seen(policy)}: it must be a policy, as {{"name": "{example}", "params": {{}}}}'
        )
    if policy.repeats is not None:
        raise InvalidInput(
            "sticky_inside",
            f"policy {policy.name!r} gives a unit what it was given before, and a wrapper around it would draw "
            f"anew: put {policy.name!r} outside",
        )


class Span(NamedTuple):
    """Where a param may lie; an end that is open does not belong to it."""

    low: float
    high: float
    low_open: bool
    high_open: bool


@contextmanager
def noting_spans() -> Iterator[dict[str, Span]]:
    """Note where params must lie that are checked meanwhile, by name: so a list of params cannot say anything else.

    >>> with noting_spans() as spans:
    ...     _ = check_param("alpha", 1.0, low=0.0, low_open=True)
    >>> spans
    {'alpha': Span(low=0.0, high=inf, low_open=True, high_open=False)}
    """
    noted: dict[str, Span] = {}
    token = _spans.set(noted)
    try:
        yield noted
    finally:
        _spans.reset(token)


def check_param(
    name: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    low_open: bool = False,
    high_open: bool = False,
) -> float:
    """Return a finite number within its range; the ends belong to it unless they are open."""
    if (spans := _spans.get()) is not None:
        spans[name] = Span(low, high, low_open, high_open)
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= FLOAT_MAX
    if not number or value < low or value > high or (low_open and value == low) or (high_open and value == high):
        left = "(" if low_open or low == -math.inf else "["
        right = ")" if high_open or high == math.inf else "]"
        wanted = "one finite number" if low == -high == -math.inf else f"a number in {left}{low:g}, {high:g}{right}"
        raise InvalidInput("bad_param", f"{name} is {as_seen(value)}: it must be {wanted}")
    return float(value)


def check_known(name: str, value: float | None) -> float:
    """Return a number from 1e-100 to 1e100, so that steps follow; 0 for None, which says that it is not known."""
    return 0.0 if value is None else check_param(name, value, low=1e-100, high=1e100)


def check_vector(
    name: str, values: Sequence[float] | Array, *, low: float = -math.inf, high: float = math.inf
) -> Array:
    """Return a float64[n] copy of `values`, n >= 1, all finite and within [low, high]."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("bad_param", f"{name} is {as_seen(values)}: it must be a list of numbers") from None
    if array.ndim != 1 or len(array) == 0:
        raise InvalidInput("bad_param", f"{name} has the shape {array.shape}: it must be a list of one or more numbers")
    for i, value in enumerate(array):
        if not math.isfinite(value) or not low <= value <= high:
            raise InvalidInput("bad_param", f"{name}[{i}] is {value:g}: it must be {_finite(low, high)}")
    return array


def check_table(
    name: str,
    rows: Sequence[Sequence[float | None]] | Array,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    missing: bool = False,
) -> Array:
    """Return a float64[n, k] copy of `rows`, n and k >= 1, all finite and within [low, high].

    Where `missing` is allowed, None and NaN stand for a missing number, and become NaN.
    """
    try:
        table = np.array(rows, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(
            "bad_param", f"{name} is not a table: it must hold rows of numbers, all of one length"
        ) from None
    if table.ndim != 2 or table.size == 0:
        raise InvalidInput("bad_param", f"{name} has the shape {table.shape}: it must hold rows of one or more numbers")
    bad = (table < low) | (table > high) | np.isinf(table)
    if not missing:
        bad |= np.isnan(table)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise InvalidInput("bad_param", f"{name}[{i}][{j}] is {table[i, j]:g}: it must be {_finite(low, high)}")
    return table


def _finite(low: float, high: float) -> str:
    return "a finite number" + ("" if low == -high == -math.inf else f" from {low:g} to {high:g}")


def check_range(name: str, limits: Any) -> tuple[float, float]:
    """Return the range of rewards: two numbers of at most 1e100 in size, the lower one first."""
    numbers = isinstance(limits, (list, tuple)) and len(limits) == 2
    for limit in limits if numbers else ():
        numbers = numbers and isinstance(limit, (int, float)) and not isinstance(limit, bool)
    if not numbers or not -REWARD_MAX <= limits[0] < limits[1] <= REWARD_MAX:
        raise InvalidInput(
            "bad_range",
            f"{name} is {as_seen(limits)}: it must be [low, high], two numbers from {-REWARD_MAX:g} to "
            f"{REWARD_MAX:g}, the lower one first",
        )
    low, high = float(limits[0]), float(limits[1])
    if not high - low >= WIDTH_MIN:
        raise InvalidInput("bad_range", f"{name} is {as_seen(limits)}: its ends must differ by at least {WIDTH_MIN:g}")
    return low, high


def range_seen(rewards: Array) -> tuple[float, float] | None:
    """Return the range of a table of rewards: [0, 1], or else from the least to the greatest; NaN is not looked at."""
    least, greatest = float(np.nanmin(rewards)), float(np.nanmax(rewards))
    if least >= 0.0 and greatest <= 1.0:
        return 0.0, 1.0
    return (least, greatest) if greatest - least >= WIDTH_MIN else None


def check_reward(reward: Any, limits: tuple[float, float] = ANY_REWARD) -> float:
    """Return a finite reward of at most 1e100 in size, within its range where it has one, ends included."""
    if type(reward) is float and limits[0] <= reward <= limits[1]:  # nearly all are: half the time
        return reward + 0.0
    if isinstance(reward, bool) or not isinstance(reward, (int, float)) or not abs(reward) <= REWARD_MAX:
        raise InvalidInput(
            "bad_reward",
            f"the reward is {as_seen(reward)}: it must be a finite number from {-REWARD_MAX:g} to {REWARD_MAX:g}",
        )
    if not limits[0] <= reward <= limits[1]:
        raise InvalidInput("bad_reward", f"the reward is {reward}: {_must_lie_in(limits)}")
    return float(reward) + 0.0  # -0.0 becomes 0.0, as it does in SQLite: the fold must see what was learned


def check_rewards(rewards: Any, n: int, what: str = "reward", limits: tuple[float, float] = ANY_REWARD) -> Array:
    """Return float64[n], a copy of as many rewards (or what they are called), each as `check_reward` wants it."""
    array = _numbers(what, rewards)
    if array.shape != (n,):
        seen = f"the {what}s have the shape {list(array.shape)}"
        raise InvalidInput(f"bad_{what}", f"{seen}: it must be {[n]}, one for each decision")
    if not (abs(array) <= REWARD_MAX).all():
        row = int(np.argmin(abs(array) <= REWARD_MAX))
        wanted = f"it must be a finite number from {-REWARD_MAX:g} to {REWARD_MAX:g}"
        raise InvalidInput(f"bad_{what}", f"{what} {row} is {array[row]}: {wanted}")
    within = (array >= limits[0]) & (array <= limits[1])
    if not within.all():
        row = int(np.argmin(within))
        raise InvalidInput(f"bad_{what}", f"{what} {row} is {array[row]}: {_must_lie_in(limits)}")
    return array + 0.0


def check_cost(problem: Problem, cost: Any) -> Array:
    """Return the detail of a feedback, float64[m], from what a decision has cost: 0 to 1e100, or None if not told."""
    refuse_cost(problem, cost)
    if cost is None:
        return np.full(problem.detail_length, np.nan)
    number = isinstance(cost, (int, float, np.number)) and not isinstance(cost, bool)
    if not number or not 0.0 <= cost <= REWARD_MAX:
        raise InvalidInput(
            "bad_cost", f"the cost is {as_seen(cost)}: it must be a finite number from 0 to {REWARD_MAX:g}"
        )
    return np.full(1, float(cost) + 0.0)


def check_costs(problem: Problem, costs: Any, n: int) -> Array:
    """Return the details of n feedbacks, float64[n, m], from costs as `check_cost` wants them; NaN if not told."""
    refuse_cost(problem, costs)
    if costs is None:
        return np.full((n, problem.detail_length), np.nan)
    array = _numbers("cost", costs)
    if array.shape != (n,):
        raise InvalidInput("bad_cost", f"the costs have the shape {list(array.shape)}: it must be {[n]}")
    good = np.isnan(array) | ((array >= 0.0) & (array <= REWARD_MAX))
    if not good.all():
        row = int(np.argmin(good))
        wanted = f"it must be a finite number from 0 to {REWARD_MAX:g}, or NaN where it is not known"
        raise InvalidInput("bad_cost", f"cost {row} is {array[row]}: {wanted}")
    return array[:, np.newaxis] + 0.0


def refuse_cost(problem: Problem, cost: Any) -> None:
    """Raise `InvalidInput` ("unexpected_cost") where a cost is given, and rewards come without."""
    if cost is not None and problem.feedback != "cost":
        raise InvalidInput(
            "unexpected_cost",
            "a cost is given, and rewards come without: leave it out, or say at creation that costs are told "
            '(problem.feedback "cost"; in Python feedback="cost")',
        )


def _must_lie_in(limits: tuple[float, float]) -> str:
    low, high = limits
    return f"the rewards of this experiment lie in [{low:g}, {high:g}]; {WAY_OUT}"


def check_context(problem: Problem, context: Any) -> Array:
    """Return the context as float64 of the problem's shape; `None` stands for none."""
    array = shaped_context(problem, context)
    if array.size and not np.isfinite(array).all():
        raise not_finite()
    return array


def shaped_context(problem: Problem, context: Any) -> Array:
    """Return a copy of the context as float64 of the problem's shape: checked, but for numbers that are not finite."""
    shape = problem.context_shape
    if context is None:
        if shape != (0,):
            raise InvalidInput("bad_context", f"the context is missing: it must have the shape {list(shape)}")
        return EMPTY_CONTEXT
    if type(context) is np.ndarray and context.dtype is _FLOAT64 and context.shape == shape:
        return context.copy()  # half the time
    try:
        array = np.array(context, _FLOAT64)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput("bad_context", "the context is not a list of numbers: it must be one") from None
    if array.shape != shape:
        raise InvalidInput("bad_context", f"the context has the shape {list(array.shape)}: it must have {list(shape)}")
    return array


def not_finite() -> InvalidInput:
    """Return what is raised where a context is not finite."""
    return InvalidInput("bad_context", "the context holds a number that is not finite: all must be")


def check_contexts(problem: Problem, contexts: Any) -> Array:
    """Return contexts of the problem's shape as float64[n, ...], a copy; a whole number stands for so many of none."""
    shape = problem.context_shape
    wanted = f"[{', '.join(['n', *map(str, shape)])}]"
    if isinstance(contexts, (int, np.integer)) and not isinstance(contexts, bool):
        if shape != (0,):
            raise InvalidInput("bad_context", f"the contexts are missing: they must have the shape {wanted}")
        if contexts < 0:
            raise InvalidInput("bad_context", f"there are {contexts} contexts: it must be 0 or more decisions")
        return np.zeros((int(contexts), 0))
    array = _numbers("context", contexts)
    if array.ndim == 0 or array.shape[1:] != shape:
        shaped = f"the contexts have the shape {list(array.shape)}"
        raise InvalidInput("bad_context", f"{shaped}: it must be {wanted}, a row for each decision")
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array).all(axis=tuple(range(1, array.ndim)))))
        raise InvalidInput("bad_context", f"context {row} holds a number that is not finite: all must be")
    return array


def _numbers(what: str, values: Any) -> Array:
    """Return a copy of many numbers that someone gave, as float64, row by row."""
    try:
        return np.array(values, np.float64, order="C")
    except (TypeError, ValueError, OverflowError):
        raise InvalidInput(f"bad_{what}", f"the {what}s are not lists of numbers of one length: they must be") from None


EMPTY_CONTEXT = np.zeros(0)  # of decisions that have none
_FLOAT64 = np.dtype(np.float64)  # np.array takes .04 us less with it than with np.float64
