"""What the lines of an export, and those of a plain table, may hold."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from ....vocabulary import ACTIVATION, CHANGE, CORRECTED, DECIDE, EARLY, EXTERNAL, LEARN, OUTCOME
from ...windows import Closed

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last where brackets are too many
Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Time = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # microseconds since 1970 UTC


class Learned(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """In the joined form what was learned of a decision, in the line of that: see joined_form.py."""

    seq: Natural
    reward: float | None = None  # None where it is the reward of the line
    detail: list[float] | None = None
    reward_id: str | None = None
    closed: Closed | None = None
    sent: str | None = None
    time: Time | None = None


class Choice(msgspec.Struct, tag_field="kind", tag="decide", omit_defaults=True, kw_only=True, gc=False):
    """What is read of a decision where its context is not wanted."""

    code: ClassVar[int] = DECIDE
    seq: Natural
    number: Natural
    action: int | list[float]
    propensity: float | None
    available: list[Natural] | None = None
    unit_id: str | None = None  # whom it is for
    time: Time | None = None
    reward: float | None = None  # in the joined form what is known in the end


class ExternalChoice(Choice, tag="given"):
    """The same of one that someone else made."""

    code: ClassVar[int] = EXTERNAL


class Decide(msgspec.Struct, tag_field="kind", tag="decide", omit_defaults=True, kw_only=True, gc=False):
    """A decision."""

    code: ClassVar[int] = DECIDE
    seq: Natural
    number: Natural
    action: int | list[float]
    propensity: float | None
    context: list[Any] | None = None
    available: list[Natural] | None = None
    actions: list[str] | None = None  # their ids, by position
    detail: str | None = None  # why, where that was asked for
    decision_id: str | None = None
    unit_id: str | None = None  # whom it is for
    policy: Natural | None = None  # the number of the one that decided, where that is not 0
    sent: str | None = None
    time: Time | None = None
    reward: float | None = None  # in the joined form what is known in the end
    learned: Learned | None = None  # and what was learned


class External(Decide, tag="given"):
    """A decision that someone else made, to be learned from."""

    code: ClassVar[int] = EXTERNAL


class Learn(msgspec.Struct, tag_field="kind", tag="learn", omit_defaults=True, kw_only=True, gc=False):
    """A reward."""

    code: ClassVar[int] = LEARN
    seq: Natural
    number: Natural
    reward: float
    detail: list[float] | None = None
    reward_id: str | None = None
    closed: Closed | None = None  # why it was learned, where decisions have windows
    sent: str | None = None
    time: int | None = None


class Outcome(msgspec.Struct, tag_field="kind", tag="outcome", omit_defaults=True, kw_only=True, gc=False):
    """A reward that came and was not learned by itself."""

    code: ClassVar[int] = OUTCOME
    seq: Natural
    number: Natural
    reward: float
    reward_id: str | None = None
    late: bool = False
    early: Natural | None = None  # the seq of the line as which it came before its decision
    detail: list[float] | None = None
    sent: str | None = None
    time: int | None = None


class Early(msgspec.Struct, tag_field="kind", tag="early", omit_defaults=True, kw_only=True, gc=False):
    """A reward that came before its decision."""

    code: ClassVar[int] = EARLY
    seq: Natural
    decision_id: str
    reward: float
    reward_id: str | None = None
    sent: str | None = None
    time: int | None = None


class Activation(msgspec.Struct, tag_field="kind", tag="activation", omit_defaults=True, kw_only=True, gc=False):
    """Whether a decision that waits to be shown was."""

    code: ClassVar[int] = ACTIVATION
    seq: Natural
    number: Natural
    activation: Literal["deferred", "done", "lapsed"] | None = None
    shown: Natural | None = None  # the number of the decision that was shown in its place
    sent: str | None = None
    time: int | None = None


class Corrected(msgspec.Struct, tag_field="kind", tag="corrected", kw_only=True, gc=False):
    """What was learned of a decision is another reward, or none."""

    code: ClassVar[int] = CORRECTED
    seq: Natural
    number: Natural
    reward: float | None
    time: int | None = None


class Change(msgspec.Struct, tag_field="kind", tag="change", omit_defaults=True, kw_only=True, gc=False):
    """Something that is neither."""

    code: ClassVar[int] = CHANGE
    seq: Natural
    detail: str | None = None
    sent: str | None = None
    time: int | None = None


BESIDE = Change | Outcome | Early | Activation | Corrected  # the lines of events that no policy learns from


class BareRow(msgspec.Struct, kw_only=True, gc=False):
    """What is read of a line of a plain table where its context is not wanted."""

    kind: Literal["row"] = "row"
    action: int
    reward: float
    propensity: float | None = None


class Row(BareRow, kw_only=True, gc=False):
    """A line of a plain table: a decision with its reward."""

    context: list[Any] | None = None
