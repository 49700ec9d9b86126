"""The body that creates an experiment. Strict as all bodies are: no unknown field, no text for a number."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ...engine.choices import LIST_MAX
from ...engine.problem import ARMS_MAX, HORIZON_MAX, SLOTS_MAX, STREAM_MAX
from ...engine.task import QUERIES_MAX, AnswerKind, LossKind, TaskKind
from ..experiment.definition import SAFE_INTEGER_MAX
from ..kinds.streams.queue_schemas import Limits
from .constraint_schemas import NewConstraints
from .schemas import Arm, Id


class NewPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """A policy by name; params that are left out have their defaults."""

    name: str
    params: dict[str, Any] = {}


class NewText(msgspec.Struct, forbid_unknown_fields=True):
    """How the words of `_text` are read: in lower case, and so many that follow each other as one more feature."""

    lower: bool | UnsetType = UNSET
    ngrams: int | UnsetType = UNSET


class Context(msgspec.Struct, forbid_unknown_fields=True):
    """What a decision sees: nothing, so many numbers, or named features (2^bits slots, or so many columns)."""

    kind: Literal["none", "dense", "features"]
    length: int | UnsetType = UNSET
    bits: int | UnsetType = UNSET
    dimension: int | UnsetType = UNSET
    interactions: list[list[str]] | UnsetType = UNSET  # two or three namespaces each
    text: NewText | UnsetType = UNSET


class NewActions(msgspec.Struct, forbid_unknown_fields=True):
    """What can be chosen: the arms, or a list in each call, each of so many numbers (or named features)."""

    kind: Literal["fixed", "listed"]
    length: int | UnsetType = UNSET
    max: int | UnsetType = UNSET


class NewSlots(msgspec.Struct, forbid_unknown_fields=True):
    """The slots of lists: how many at most, and how many numbers describe each (or an object does)."""

    max: Annotated[int, Meta(ge=1, le=LIST_MAX)]
    length: Annotated[int, Meta(ge=1)] | UnsetType = UNSET


class NewHypothesis(msgspec.Struct, forbid_unknown_fields=True):
    """What can be recommended: its answer to each query, 1 for yes and 0 for no."""

    id: Id
    answers: list[float]


class NewStates(msgspec.Struct, forbid_unknown_fields=True):
    """The states that decisions move, by one of these: how many, their ids, or factors with as many values each."""

    count: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    ids: list[Id] | UnsetType = UNSET
    factors: dict[Id, Annotated[int, Meta(ge=1)]] | UnsetType = UNSET


class NewProblem(msgspec.Struct, forbid_unknown_fields=True):
    """What is decided; the arms say the rest. `arms` and `reward_range` are for arms that come once only.

    So are whole `slots`; those of lists are an object.

    From `task` on: where queries are asked, and the horizon is the budget.
    """

    kind: Literal["arms", "lists", "arm_stream", "vector", "queries"] = "arms"
    context: Context = msgspec.field(default_factory=lambda: Context("none"))
    states: NewStates | UnsetType = UNSET  # that decisions move: then there is no context
    actions: NewActions = msgspec.field(default_factory=lambda: NewActions("fixed"))
    horizon: Annotated[int, Meta(ge=1, le=HORIZON_MAX)] | None = None
    slots: Annotated[int, Meta(ge=1, le=SLOTS_MAX)] | NewSlots | UnsetType = UNSET  # of lists an object
    arms: Annotated[int, Meta(ge=1, le=STREAM_MAX)] | UnsetType = UNSET
    reward_range: Limits | UnsetType | None = UNSET
    domain: dict[str, Any] | UnsetType = UNSET  # of vectors: {"kind": "ball", ...}, as docs/http.md says
    feedback: Literal["reward", "gradient", "losses", "two_rewards", "example"] | UnsetType = UNSET  # of vectors
    task: TaskKind | UnsetType = UNSET
    queries: Annotated[int, Meta(ge=1, le=QUERIES_MAX)] | list[Id] | UnsetType = UNSET  # their ids, or how many
    hypotheses: list[NewHypothesis] | UnsetType = UNSET  # of the task "hypotheses"
    answers: AnswerKind | UnsetType = UNSET
    loss: LossKind | UnsetType = UNSET


class NewReward(msgspec.Struct, forbid_unknown_fields=True):
    """What is known of rewards: [low, high], between which each lies, the ends included; and how long they take.

    With a `wait_time` each decision has a window of that length. What came in it is learned when it closes, as one
    reward, or else the default; without a default a decision without a reward is not learned.
    """

    range: Limits | UnsetType = UNSET
    wait_time: Annotated[str, Meta(pattern="^[1-9][0-9]{0,8}[smhd]$")] | UnsetType = UNSET  # 1s to 400d
    default: float | UnsetType | None = UNSET
    learn: Literal["at_close", "at_once"] | UnsetType = UNSET  # at_once: the first reward, when it comes
    aggregation: Literal["earliest", "last", "sum", "mean", "median", "min", "max"] | UnsetType = UNSET
    late: Literal["refuse", "record", "learn"] | UnsetType = UNSET


class NewExperiment(msgspec.Struct, forbid_unknown_fields=True):
    """A new experiment: arms are enough. The policy is then adaptive, which notices when the world changes.

    It is around thompson_any, with contexts around fourier_softmax; with rewards declared to lie in [0, 1] and no
    contexts around thompson_beta, up to 2000 arms.

    Where arms come once there are none yet, and the policy is early_drop; where queries are asked mapo, if an artefact
    of it is for the problem.
    """

    arms: Annotated[list[Arm], Meta(max_length=ARMS_MAX)] = []
    experiment_id: Id | None = None
    problem: NewProblem = msgspec.field(default_factory=NewProblem)
    policy: NewPolicy | str | UnsetType = UNSET  # a name, or name:{json params}, stands for the object
    reward: NewReward | UnsetType = UNSET
    constraints: NewConstraints | UnsetType = UNSET
    seed: Annotated[int, Meta(ge=0, le=SAFE_INTEGER_MAX)] | Annotated[str, Meta(pattern="^[0-9]{1,20}$")] = 0
