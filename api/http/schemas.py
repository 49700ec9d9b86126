"""The bodies that the service reads and writes. Everything is strict: no unknown field, no text for a number."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..experiment.explanation_schemas import Ranked, Reasons
from ..experiment.ids import ID_LENGTH_MAX
from ..experiment.plan_schemas import HeldPlan
from ..experiment.world_schemas import FoundChange
from ..kinds.streams.bodies import Stream
from ..kinds.streams.queue_schemas import Evicted
from .window_schemas import ActivationRecord, OutcomeRecord

ERASED_MAX = 10_000  # decisions by their ids in one call
Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX)]


class Problem(msgspec.Struct):
    """An error: RFC 9457 problem+json with a stable `code`."""

    title: str
    status: int
    detail: str
    code: str


class Decide(msgspec.Struct, forbid_unknown_fields=True):
    """What a client sends for a decision; `{}` is enough."""

    context: list[float] | dict[str, Any] | None = None
    state: int | str | dict[str, int] | None = None  # in which it is made, where problem.states says what there are
    begins: bool = False  # a unit begins in that state: no decision led there
    actions: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)  # [Action]
    eligible_actions: list[str] | None = None
    excluded_actions: list[str] | None = None
    slots: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)  # [AskedSlot], where a list is filled
    decision_id: str | None = None
    explain: bool = False
    rank: bool = False  # tell the probabilities of all actions
    hint: list[float] | None = None  # a forecast of the loss's gradient, where a vector is decided
    unit_id: str | None = None  # whom it is for
    defer_activation: bool = False  # it is not shown yet: rewards are waited for once it is activated
    baseline_action: str | None = None  # what your own rule would do: an apprentice lets that be done
    baseline_propensity: float | None = None  # with which it was chosen, where that is known


class Example(msgspec.Struct, forbid_unknown_fields=True):
    """A decision that someone else made, with its reward and the probability with which it was chosen."""

    action_id: str
    value: float
    propensity: float | None  # null where that is not known: it is learned, and no estimate weighs it
    context: list[float] | dict[str, Any] | None = None
    state: int | str | dict[str, int] | None = None  # in which it is made, where problem.states says what there are
    begins: bool = False  # a unit begins in that state: no decision led there
    actions: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)  # [Action]
    eligible_actions: list[str] | None = None
    excluded_actions: list[str] | None = None
    decision_id: str | None = None
    reward_id: str | None = None  # of its reward
    unit_id: str | None = None  # whom it was for
    cost: float | None = None  # what it has cost, where problem.feedback is "cost"
    next_state: int | str | dict[str, int] | None = None  # where it led, where there are states
    ended: bool = False  # its unit has ended: no state came next


class Examples(msgspec.Struct, forbid_unknown_fields=True):
    """Many examples at once: one status each, in order; a bad one fails alone."""

    examples: list[msgspec.Raw]


class Learned(msgspec.Struct):
    """accepted, or duplicate where the same example was on record already."""

    decision_id: str
    status: Literal["accepted", "duplicate"]


class LearnedBatch(msgspec.Struct):
    """The answers to a batch of examples, in order."""

    examples: list[Any]  # Learned or Problem


class Reward(msgspec.Struct, forbid_unknown_fields=True):
    """What came of a decision; up is better. Of pulls the sum, and how many were done; of a query the answer."""

    value: float
    reward_id: str | None = None
    pulls: int | None = None
    cost: float | None = None  # what the decision has cost, where problem.feedback is "cost"; as listed if left out


class Rewarded(msgspec.Struct):
    """accepted, or duplicate where the same reward was on record already; late where it came after its window.

    early where it came before its decision: it is held for it.

    A late reward is on record, and is not learned, but where `late` is "learn".
    """

    status: Literal["accepted", "duplicate", "late", "early"]


class BatchReward(msgspec.Struct, forbid_unknown_fields=True):
    """A reward in a batch names its decision."""

    decision_id: str
    value: float
    reward_id: str | None = None
    pulls: int | None = None
    cost: float | None = None


class Decisions(msgspec.Struct, forbid_unknown_fields=True):
    """Many decisions at once: one answer each, in order; a bad one fails alone."""

    decisions: list[msgspec.Raw]


class DecisionBatch(msgspec.Struct):
    """The answers to a batch of decisions, in order."""

    decisions: list[Any]  # ArmDecision, ListDecision, StreamDecision, VectorDecision, QueryDecision or Problem


class RewardedBatch(msgspec.Struct):
    """The answers to a batch of rewards, in order."""

    rewards: list[Any]  # Rewarded or Problem


class Rewards(msgspec.Struct, forbid_unknown_fields=True):
    """Many rewards at once: one status each, in order; a bad one fails alone."""

    rewards: list[msgspec.Raw]


class Compact(msgspec.Struct, forbid_unknown_fields=True):
    """Up to where a log is compacted: a seq, or the time (RFC 3339) that events are earlier than; by default now."""

    before: int | str | None = None
    archive: bool = True  # whether what lies before is kept as a file


class Compacted(msgspec.Struct):
    """The base of a log: it is folded from there on. The archive has the events behind the base before, up to it."""

    experiment_id: str
    base: int  # the seq of the last event that it stands for
    events: int  # that the archive has, or would have
    archive: str | None  # its name in the folder of archives
    archive_bytes: int | None
    archive_sha256: str | None
    digest: str  # of the state
    time: str


class CreatedArm(msgspec.Struct):
    """The id of an arm."""

    id: str


class CreatedProblem(msgspec.Struct):
    """What a list tells of a problem."""

    kind: str = "arms"
    queries: list[str] = []


class Created(msgspec.Struct):
    """What a list tells of an experiment that the database keeps; all else of it is not read."""

    problem: CreatedProblem
    policy: dict[str, Any]
    arms: list[CreatedArm]


class Experiment(msgspec.Struct):
    """An experiment and its counters. Where arms come once, what is read counts as decisions and rewards too."""

    experiment_id: str
    problem: dict[str, Any]
    policy: dict[str, Any]
    arms: list[dict[str, Any]]
    retired_arms: list[str]
    seed: int | str
    created_at: str
    archived: bool
    decisions: int
    rewards: int
    pending: int
    seq: int
    digest: str | None = None
    stream: Stream | UnsetType = UNSET
    reward: dict[str, Any] | UnsetType = UNSET  # where a range of rewards is declared, or the policy needs one
    constraints: dict[str, Any] | UnsetType = UNSET  # to which who decides keeps
    warnings: list[str] | UnsetType = UNSET  # what whoever declared its rewards so must know
    corrections_left: int | UnsetType = UNSET  # that the policy does not know yet, where there are any


class Deleted(msgspec.Struct):
    """An experiment that is gone for good: its log is taken away, and nobody gets its id again."""

    experiment_id: str
    deleted_at: str


class Listed(msgspec.Struct):
    """An experiment in the list: its counters, and the first few of its arms; by itself it is told whole."""

    experiment_id: str
    kind: str  # of its problem
    policy: str  # its name, and in brackets that of the one inside
    arms: list[str]  # the ids of the first few, or of queries; none where they come once
    n_arms: int  # how many there are; where they come once how many were read
    created_at: str
    archived: bool
    decisions: int
    rewards: int
    pending: int
    seq: int
    recovering: bool | UnsetType = UNSET  # true where the log waits to be folded: then this is how the experiment was
    # created, with what its log counts; so are archived ones that nobody asked for since the start, without a flag
    alarms: list[str] | UnsetType = UNSET  # what somebody should look at, in words; absent where there is nothing


class Experiments(msgspec.Struct):
    """A page of the list; `next` is the `after` of the next one."""

    experiments: list[Listed]
    next: str | None


class Arm(msgspec.Struct):
    """An arm: its id, and whatever else describes it; its `tags`, a list of strings, may name groups of constraints."""

    id: Id


class ArmStatus(msgspec.Struct):
    """An arm of an experiment at work; a retired one is not chosen, until it is added again."""

    arm_id: str
    retired: bool


class WorldSaid(msgspec.Struct, forbid_unknown_fields=True):
    """What a person knows of the world: that it is another one now (known), or that a change was none (false)."""

    change: Literal["known", "false"]
    model: Annotated[int, Meta(ge=0)] | None = None  # known: the one that leads again; left out for a new one
    number: Annotated[int, Meta(ge=1)] | None = None  # known: the number that the change gets, so that it is made once
    # however often it is sent; false: that of the change that was none, which must be the last one


class World(msgspec.Struct):
    """The changes of the world so far, the oldest first, and the model that decides and learns now."""

    model: int
    changes: list[FoundChange]


class Constant(msgspec.Struct):
    """A number that a policy's steps depend on, and where it has it from; null where there is none (yet)."""

    value: float | None
    source: Literal["problem", "param", "exceeded", "estimate", "unused"]


class Compiling(msgspec.Struct):
    """How far the policy's kernels are: until they are compiled they run as Python, with the same decisions."""

    compiled: bool  # what decides and learns here
    waiting: int  # entries of all experiments that are still to be compiled
    at_work: str | None  # the one that is being compiled
    memory_bytes: int | None  # the most that the process that compiles has had
    failures: list[str]  # what did not compile, and stays as Python
    given_up: bool  # the process that compiles ended three times in a row: no more are started


class Diagnostics(msgspec.Struct):
    """The health of an experiment."""

    decisions: int
    rewards: int
    pending: int
    seq: int
    reward_share: float | None  # of decisions that have a reward
    unknown_propensity_share: float | None  # of decisions
    state_bytes: int  # in memory
    repairs: int | None  # of models that broke down numerically; null where the policy has none
    compiling: Compiling
    loop_lag_ms: float  # the latest that the service's event loop was within a minute: what a request waits for others
    base: int | UnsetType = UNSET  # the seq from which the log is folded, where it was compacted
    certificate: float | UnsetType | None = UNSET  # of vectors: a bound on the regret; null where nothing is proven
    certificate_supposes: str | UnsetType = UNSET  # of the losses, for that to hold, beyond that they are convex
    variation: float | UnsetType | None = UNSET  # of vectors: the sum of |gradient - hint|^2
    model: int | UnsetType = UNSET  # the one that leads, where the policy looks for changes of the world
    changes: list[FoundChange] | UnsetType = UNSET  # the same: the newest 63
    constants: dict[str, Constant] | UnsetType = UNSET  # where the policy tells: D, G, L and the like
    notes: list[str] | UnsetType = UNSET  # what the policy supposes, and what it costs that it never draws
    warnings: list[str] | UnsetType = UNSET  # what is wrong with the rewards that come


class RewardRecord(msgspec.Struct):
    """The reward in the record of a decision; of a query the answer. Where it was corrected, as it was learned."""

    value: float
    reward_id: str | None
    seq: int
    time: str
    pulls: int | UnsetType = UNSET
    cost: float | UnsetType = UNSET  # what the decision has cost, where that was told
    next_state: int | str | dict[str, int] | UnsetType = UNSET  # where it led
    ended: bool | UnsetType = UNSET  # its unit has ended
    detail: dict[str, Any] | UnsetType = UNSET  # of a vector, as it was sent
    closed: Literal["reward", "default", "at_once"] | UnsetType = UNSET  # where it has a window, why it was learned


class CorrectionRecord(msgspec.Struct):
    """A correction of a reward, in the record of its decision; of null where it was retracted."""

    value: float | None
    seq: int
    time: str


class DecisionRecord(msgspec.Struct):
    """Everything on record about one decision."""

    decision_id: str
    number: int
    seq: int
    action_id: str | None  # null where the end of a stream was read, a vector decided or a query asked
    propensity: float | None
    policy: str  # the one that decided
    model_version: int
    given: bool  # someone else made it
    context: list[Any] | None  # numbers, or a row of them for each action; null where it is named features, or a state
    actions: list[str] | None  # the ids of the actions of the call
    eligible_actions: list[str] | None
    sent: Any
    time: str
    reward: RewardRecord | None
    corrections: list[CorrectionRecord] | UnsetType = UNSET  # of the reward, in their order: the last one holds
    outcomes: list[OutcomeRecord] | UnsetType = UNSET  # what came, where decisions have windows
    activation: ActivationRecord | UnsetType = UNSET  # of one that was deferred
    policy_number: int | UnsetType = UNSET  # which of several policies that is, where it is not the first
    unit_id: str | UnsetType = UNSET  # whom it is for
    sticky: bool | UnsetType = UNSET  # its unit got what it was given before
    constraints_applied: list[str] | UnsetType = UNSET  # those that moved its probabilities, where there are any
    relaxed: list[str] | UnsetType = UNSET  # those that it could not meet, and that gave way
    state: int | str | dict[str, int] | UnsetType = UNSET  # in which it was made
    begins: bool | UnsetType = UNSET  # a unit began in it
    compacted: bool | UnsetType = UNSET  # it lies before the base: context, eligible_actions and sent are gone
    ranking: list[Ranked] | UnsetType = UNSET
    explanation: list[Reasons] | UnsetType = UNSET
    model: int | UnsetType = UNSET
    plan: HeldPlan | UnsetType = UNSET
    notes: list[str] | UnsetType = UNSET
    list_id: str | UnsetType = UNSET  # of a slot
    slot_id: str | UnsetType = UNSET
    slots: list[DecisionRecord] | UnsetType = UNSET  # of a list: what is on record of each of its slots
    query_id: str | UnsetType = UNSET
    point: list[float] | UnsetType = UNSET
    points: list[list[float]] | UnsetType = UNSET
    move: Literal["pull", "read"] | UnsetType = UNSET
    pulls: int | UnsetType = UNSET
    evicted: list[Evicted] | UnsetType = UNSET


class UnitDecisions(msgspec.Struct):
    """A page of the decisions that are for one unit, in their order; `next` is the `after` of the next one."""

    decisions: list[DecisionRecord]
    next: int | None


class Erase(msgspec.Struct, forbid_unknown_fields=True):
    """What is to be erased: all decisions for a unit, or decisions by their ids."""

    unit_id: str | None = None
    decision_ids: Annotated[list[str], Meta(max_length=ERASED_MAX)] | None = None


class Erased(msgspec.Struct):
    """How much was blanked: decisions, events (these and their rewards), and how many decisions were open."""

    experiment_id: str
    decisions: int
    events: int
    open: int
    archives_left: list[str] | UnsetType = UNSET  # may hold what is erased, as they could not be read or written


class Health(msgspec.Struct):
    """How the service is."""

    status: Literal["alive", "ready", "recovering", "slow", "lost"]
    recovering: int | UnsetType = UNSET  # experiments that fold their logs, or wait for it
    of: int | UnsetType = UNSET  # so many experiments
    reason: str | UnsetType = UNSET  # slow, lost: what happened to the database, and what to do


class Version(msgspec.Struct):
    """What answers."""

    onearm: str
    python: str
    numba: str
    numpy: str


LATER = {
    "reward": {"observed_at", "detail"},
    "feedback": {"observed_at"},
}
"""Fields that docs/http.md names but that are not built: they are refused, never ignored."""
