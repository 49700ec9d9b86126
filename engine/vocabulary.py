"""The nouns of onearm, on one screen. The glossary with every word is in docs/architecture.md."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from .choices import VECTOR_FEEDBACKS as VECTOR_FEEDBACKS  # "X as X": found here by those who import it
from .choices import ActionKind as ActionKind
from .choices import Choice, choice_of
from .choices import FeedbackKind as FeedbackKind
from .domain import Domain
from .task import Task

Array = np.ndarray[Any, Any]
Layout = Literal["dense", "actions", "named"]  # how contexts lie in memory
ContextKind = Literal["dense", "actions", "named", "states"]
NO_CONTEXT: tuple[ContextKind, ...] = ("dense", "states")  # what a policy may meet that reads no context
Action = Any  # int64, an arm or a query; int64[3], a move; or float64[d], a vector: `engine/actions.py`


class Key(NamedTuple):
    """Names the draws of one decision: draw i is a pure function of (run, t, i)."""

    run: np.uint64  # the run key, from (seed, replication, role): `draws.run_key`
    t: int  # number of the decision


class Features(NamedTuple):
    """Named features of k actions, hashed to slots and written sparsely (`engine/features.py` makes them)."""

    start: Array  # int64[k + 2]: row i is start[i] <= j < start[i + 1]; row 0 is shared, row a + 1 is action a's
    index: Array  # uint32[m], slots from 0 to 2^bits - 1
    value: Array  # float64[m]


NOBODY = np.uint64(0)  # in place of a unit


class Instance(NamedTuple):
    """What arrives at t. Kernels that make one give all five: compiled code knows no defaults."""

    t: int  # int64, the policy's clock: decisions made before this one
    context: Any  # float64[d]; with action features float64[k, p] or Features; [state, whether its unit begins here]
    available: Array  # bool[k], at least one True; what is not available may be padding, and is never looked at.
    # Where arms stream: whether there is an arm in each slot, and whether another can be read, bool[slots + 2]; where
    # decisions are vectors bool[1], True
    unit: np.uint64 = NOBODY  # whom the decision is for: `features.unit_of` of a client's id, or NOBODY
    time: int = 0  # int64, when, in microseconds since 1970 UTC as it is on record; 0 where nobody says


class Decision(NamedTuple):
    """What was chosen, and how likely that was."""

    action: Action
    propensity: float  # probability with which the policy took this action; NaN if unknown


class Feedback(NamedTuple):
    """What the world revealed about one decision."""

    reward: float  # up is better
    detail: Array  # float64[m], what else was revealed


class RewardRange(NamedTuple):
    """Between what rewards lie, for a policy that is made for such: one of its params (`engine/rewards.py`)."""

    low: float
    high: float
    factor: float  # 1 / (high - low)

    @classmethod
    def of(cls, low: float, high: float) -> RewardRange:
        """Return the range from low to high, low < high."""
        return cls(low, high, 1.0 / (high - low))


class Certificate(NamedTuple):
    """What a policy that decides vectors proves of its own run."""

    bound: float  # its regret against any fixed point of the domain is at most this
    variation: float  # the sum of |gradient - hint|^2: how far the losses were from what was expected


class Constant(NamedTuple):
    """A number that a policy's steps depend on, and where it has it from: `engine/vectors/constants.py`."""

    value: float
    source: Literal["problem", "param", "exceeded", "estimate", "unused"]


class Change(NamedTuple):
    """A change of the world, as a policy found it or as a person said: `engine/changes/worlds.py`."""

    number: int  # from 1
    place: int  # number of the decision from which on the world is another one, as estimated
    noticed: int  # number of the decision whose feedback told, or before which a person said it
    model: int  # which of the policy's models learns since then
    evidence: float  # the wealth of the bet that was won: how many times less likely this is without a change; 0 where
    # a person said it, or where the model of an earlier world was nearer to what was paid for long
    fresh: int  # how many arms are learned anew; -1 for all of them, 0 where a world that is known has come again
    cause: Literal["found", "said", "taken_back"]  # by the policy, by a person; a person said that it was none


class Turn(NamedTuple):
    """What a person says of the world, before the decision of that number is made."""

    number: int
    known: bool  # the world is another one now; False: the last change was none
    model: int | None = None  # the model of an earlier world that leads again; None for a new one


class Learned(NamedTuple):
    """What a policy has learned of states that decisions move, in the unit of rewards: `engine/states/learned.py`."""

    gain: float  # reward of a decision in the long run, as its plan has it, within their range; NaN before a plan
    bias: Array  # float64[S], how much more is earned from a state on, beside the worst one that was met
    q: Array  # float64[S, A], the same by what is decided there; its maximum over what is open is the bias
    best: Array  # int64[S], what the plan decides; -1 in a state that was not met
    visits: Array  # int64[S, A], how often each was learned
    plans: int  # that were made; of a policy that makes none, transitions that were learned
    since: int  # transitions that were learned since the plan at hand was begun
    error: float = math.nan  # how much of what was learned speaks against the plan, where a policy counts that
    error_max: float = math.nan  # beyond which there is another plan


class Columns(NamedTuple):
    """A log, or a part of it, as arrays of n events. A LEARN row repeats its decision's columns."""

    kind: Array  # int8[n], DECIDE, LEARN or EXTERNAL
    number: Array  # int64[n], number of the decision
    action: Array  # int64[n]; of moves int64[n, 3], of vectors float64[n, d]
    propensity: Array  # float64[n]
    reward: Array  # float64[n], NaN on DECIDE rows
    detail: Array  # float64[n, m], what else was revealed; NaN on DECIDE rows
    context: Any  # float64[n, *context shape], or Features of n rows: `engine/contexts.py`
    available: Array  # bool[n, k], or bool[1, k] where it never changes
    unit: Array = np.zeros(1, np.uint64)  # uint64[n], whom each decision is for; or uint64[1], the same for all
    time: Array = np.zeros(1, np.int64)  # int64[n], when each was made, in microseconds since 1970 UTC; or int64[1]


class Player(NamedTuple):
    """A policy at work: its params and state, its run key, and room for what is revealed beside a reward."""

    params: Any
    state: Any
    run: np.uint64
    detail: Array  # float64[m]


class World(NamedTuple):
    """An environment at work: its params and state, nature's run key, and the buffers that it writes into."""

    params: Any
    state: Any
    run: np.uint64
    context: Any  # float64[*context shape], or Features
    available: Array  # bool[k]
    detail: Array  # float64[m]
    rules: Any  # of the choice: `choices.Single` or `choices.Moves`


class Totals(NamedTuple):
    """What a simulation adds up, kept in arrays so that it can be stopped and continued.

    Each holds what it is now, and what it was before the last decision of several trials.
    """

    trials: Array  # int64[2]
    reward: Array  # float64[2]
    regret: Array  # float64[2]


class Outside(NamedTuple):
    """How many rewards of a simulation lay outside of the range that a policy is made for, and how far."""

    low: float
    high: float
    count: Array  # int64[1]
    least: Array  # float64[1], of these rewards; infinite where there is none
    greatest: Array  # float64[1], the same


class Judged(NamedTuple):
    """What a policy makes of n logged rows."""

    chosen: Array  # int64[n], the action that it would have taken
    target: Array  # float64[n], the probability with which it takes the logged action (where it does not know its
    # law: 1 where it agrees and else 0, which is unbiased as well)
    expected: Array  # float64[n], the mean of the predicted rewards by its law; of no length without predictions


# Kinds of events. EXTERNAL: a decision that someone else made, learned from and not made again. OUTCOME: a reward that
# came and is on record, and is learned with others when the window of its decision closes, or never. EARLY: one that
# came before its decision, which has an OUTCOME of it where it was made in time. ACTIVATION: whether a decision that
# waits to be shown was. CORRECTED: what was learned of a decision is said to be another reward, or to be none.
DECIDE, LEARN, CHANGE, EXTERNAL, OUTCOME, EARLY, ACTIVATION, CORRECTED = range(8)
DECISIONS = (DECIDE, EXTERNAL)
BESIDE = (
    CHANGE,
    OUTCOME,
    EARLY,
    ACTIVATION,
    CORRECTED,
)  # these count for the seq, and are not among Columns: no policy learns from them


@dataclass(frozen=True)
class Problem:
    """The static shape of a task: what is decided, a context of `context_shape`, and a horizon if there is one.

    What is decided is its `choice`. The other fields say it in words, of which some exclude each other: words that make
    no choice are refused here, and numbers out of their range by `problem.check_problem`. `Problem.of` takes a choice.

    A context of shape (d,) belongs to the instance, and arms are numbered once for all. One of shape (k, p) has a row
    for each action: what can be chosen may then be another set in each call, of up to k = `n_arms` actions, and the
    action is a position in it. Where `nonzeros` is given, the rows are sparse `Features` of at most so many entries.

    Where `slots` is given, arms arrive once, one after another: the one that arrived can be pulled, `slots` more can be
    stored, and what is dropped never comes back. There `n_arms` is the length of the stream, 0 where it is unknown, an
    action is a move, and the horizon counts trials, which are pulls.

    Where `domain` is given, a decision is a vector in it, and `n_arms` is 0. `feedback` says what is revealed of the
    loss f at x beside the reward -f(x):
    "reward"       nothing
    "gradient"     detail = the gradient of -f at x, float64[d]
    "losses"       detail = what each coordinate would have earned, float64[d]: the reward is detail . x
    "two_rewards"  the decision is two points, float64[2 d], and detail = the reward of each
    "example"      detail = a, float64[d], and b: the loss is a known function of a . x and b

    Of arms that are all there `feedback` may be "cost": detail = what the decision has cost, float64[1], >= 0, or NaN
    where that was not told.

    Where `states` is given, a decision moves a state: the context is [s, b], float64[2], with the state s, from 0 to
    `states` - 1, and b = 1 where a unit begins in it, else 0; `feedback` is "transition", and detail = [s'],
    float64[1], the state that came next, or `states` where the unit has ended.

    Where `task` is given, an action is a query, one of `n_arms`; the horizon is the budget, and after it a hypothesis
    is recommended. The feedback is "answer": detail = the answer, float64[1], and the reward is 0.

    Where `reward_range` is given, every reward lies in it, ends included (where arms stream, that of one pull): the
    interfaces refuse others. Without it nothing is promised.

    Where `list_slots` is given, decisions are for the slots of lists of at most so many: each is an arm, and what is
    taken above in its list is not available.

    Where `tags` are given, arms have some, and constraints may name groups of arms by them.

    >>> Problem(n_arms=3).choice
    Arms(n_arms=3, feedback='reward', states=None)
    >>> Problem.of(Problem(n_arms=3).choice) == Problem(n_arms=3)
    True
    >>> Problem(1_000_000, horizon=10**9, slots=1).n_choices
    3
    >>> Problem(2, (2,), states=20, feedback="transition").context_kind
    'states'
    >>> [Problem(3, (8,)).context_kind, Problem(3, (3, 8)).context_kind, Problem(3, (3, 2**18), None, 100).context_kind]
    ['dense', 'actions', 'named']
    """

    n_arms: int
    context_shape: tuple[int, ...] = (0,)
    horizon: int | None = None
    nonzeros: int | None = None
    slots: int | None = None
    domain: Domain | None = None
    feedback: FeedbackKind = "reward"
    task: Task | None = None
    reward_range: tuple[float, float] | None = None  # low < high
    states: int | None = None
    tags: tuple[tuple[str, ...], ...] = ()  # of each arm; () where none has any
    list_slots: int | None = None
    choice: Choice = field(init=False, repr=False, compare=False)  # what all but the context and the horizon say

    def __post_init__(self) -> None:
        """Refuse words that contradict each other."""
        words = self.n_arms, self.slots, self.domain, self.feedback, self.task, self.states, self.list_slots
        choice = choice_of(*words)
        object.__setattr__(self, "choice", choice)

    @classmethod
    def of(
        cls,
        choice: Choice,
        context_shape: tuple[int, ...] = (0,),
        horizon: int | None = None,
        nonzeros: int | None = None,
    ) -> Problem:
        """Return the problem of a choice."""
        return cls(context_shape=context_shape, horizon=horizon, nonzeros=nonzeros, **choice.words)

    @property
    def action_kind(self) -> ActionKind:
        """Return what an action is: an arm, a move, a vector or a query."""
        return self.choice.kind

    @property
    def is_numbered(self) -> bool:
        """Whether an action is one number: an arm's, or a query's."""
        return self.choice.shape == ()

    @property
    def dimension(self) -> int:
        """Return how many numbers a vector has that is decided; 0 where none is."""
        return self.choice.dimension

    @property
    def n_choices(self) -> int:
        """Return the length of a mask: the arms; of a stream the slots, the place of what arrived, and reading."""
        return self.choice.n_choices

    @property
    def detail_length(self) -> int:
        """Return how many numbers a feedback holds beside its reward."""
        return self.choice.detail_length

    @property
    def layout(self) -> Layout:
        """Return how a context lies in memory: float64[d], float64[k, p], or `Features`."""
        if self.nonzeros is not None:
            return "named"
        return "actions" if len(self.context_shape) == 2 else "dense"

    @property
    def context_kind(self) -> ContextKind:
        """Return what a context is for those that read it: as it lies in memory, or a state."""
        return self.layout if self.states is None else "states"


class Constrained(NamedTuple):
    """What constraints did to a decision, by names such as "floor", "cap:a" and "group_floor:new"."""

    applied: list[str]  # those that moved the law
    relaxed: list[str]  # those that gave way, as this decision could not meet them


class Guarantee(NamedTuple):
    """What is known beforehand of a policy that was trained, and what it decides with."""

    artefact: str  # name@digits
    play: str  # how it decides with that
    losses: tuple[tuple[float, float], ...]  # (difficulty, the most that it loses in expectation up to that)
    solved: bool  # exactly; else the worst that an adversary found


@dataclass(frozen=True)
class Policy:
    """A policy: frozen params, a state of named arrays, and kernels filed under the params' class."""

    name: str
    params: Any  # a NamedTuple of numbers and arrays
    init: Callable[[Any, Problem], Any]  # (params, problem) -> state, a NamedTuple of arrays
    version: int = 1  # bumped when its bits change; held by a golden digest test
    contexts: tuple[ContextKind, ...] = (
        "dense",
    )  # the kinds that its kernels read; arms' numbers mean nothing in others
    context_length_max: int | None = None  # the most numbers of a dense context that it reads, where there is a limit
    actions: tuple[ActionKind, ...] = ("arm",)  # the kinds that it decides
    feedbacks: tuple[FeedbackKind, ...] = ("reward",)  # the kinds that it learns from
    spec: dict[str, Any] = field(default_factory=dict, compare=False)  # {"name", "params"} as JSON, set by the registry
    grow: Callable[[Any, Any, Problem], Any] | None = None  # (params, state, larger problem) -> state: engine/growth.py
    resolve: Callable[[Problem], Policy] | None = None  # what is open until the problem is known: problem.fitted
    constants: Callable[[Any, Any], dict[str, Constant]] | None = None  # (params, state) -> what its steps depend on
    found: Callable[[Any, Any], list[Change]] | None = None  # (params, state) -> changes of the world, the oldest first
    turn: Callable[[Any, Any, Turn], None] | None = None  # (params, state, what a person says), written into the state
    learned: Callable[[Any, Any], Learned] | None = (
        None  # (params, state) -> what it knows of states that decisions move
    )
    supposes: str | None = None  # of the losses, for its certificate to hold, beyond that they are convex
    guarantee: Guarantee | None = None  # what is known of its recommendations beforehand, where it was trained
    foretells: bool = True  # False where it decides by contexts, and its scores are not rewards, or it has none
    probability_min: float = 0.0  # of each available arm at least, where it promises that
    deterministic: bool = False  # of arms, with contexts or without: whether it never draws, and each propensity is 1
    even: bool = False  # of arms: whether it learns nothing, and takes each available one alike by `even_place`
    divides: bool = False  # of arms: whether it divides by the propensity of what it learns, or the policy inside does
    repeats: Callable[[Any, Any, Instance], bool] | None = None  # (params, state, instance) -> whether a unit gets what
    # it was given before: `policies/wrappers/sticky.py`
    constrained: Callable[[Any, Any, int, Sequence[str]], Constrained | None] | None = None  # (params, state, number of
    # the decision that it made last, ids of arms) -> what constraints did to that: `policies/wrappers/constrained.py`
    unconstrained: str | None = None  # why its law must not be moved by constraints, and what to do instead

    @property
    def reward_range(self) -> tuple[float, float] | None:
        """The rewards that it is made for, where a problem declares no others; None where any will do.

        A policy is made for a range where its params, or those of the policy inside, hold a `RewardRange`.
        """
        found = _range_in(self.params)
        return None if found is None else (found.low, found.high)


def _range_in(params: Any) -> RewardRange | None:
    if isinstance(params, RewardRange) or not isinstance(params, tuple):
        return params if isinstance(params, RewardRange) else None
    return next((found for found in map(_range_in, params) if found is not None), None)


@dataclass(frozen=True)
class Environment:
    """A world: params, a state, and its kernels.

    These are observe, respond and, where the optimum is known, regret or recommendation_loss.
    """

    name: str
    params: Any
    init: Callable[[Any, Problem, np.uint64], Any]  # (params, problem, nature's run key) -> state
    problem: Problem  # `horizon` is the length of one pass where the world has one
    regret_kind: str | None = None  # the comparator that `regret` measures against, in words
    delay_max: int = 0  # the longest delay of a reward, in decisions
    spec: dict[str, Any] = field(default_factory=dict, compare=False)
