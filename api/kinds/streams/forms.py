"""The form for arms that come once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..form import Field, Form, range_of, whole_of

SLOTS = Field(
    "slots",
    "Slots",
    "How many candidates can be kept beside the one that arrives.",
    "2",
    about=("slots",),
    needed="say how many slots there are",
)
HORIZON = Field("horizon", "Pulls", "How many there may be in all; empty for no end.", about=("horizon",))


def _build(given: Mapping[str, str]) -> dict[str, Any]:
    problem: dict[str, Any] = {"kind": "arm_stream", "slots": whole_of(given, "slots", SLOTS.label)}
    if (horizon := whole_of(given, "horizon", HORIZON.label)) is not None:
        problem["horizon"] = horizon
    if (limits := range_of(given, "low", "high")) is not None:
        problem["reward_range"] = limits
    return {"problem": problem}


LOW = Field("low", "Rewards from", "The least that one can be.", "0", about=("reward_range",))
HIGH = Field("high", "to", "And the most.", "1")
FORMS = (
    Form(
        "streams",
        "Candidates that come once",
        "Ideas or machines pass by: keep a few, try them, drop the others for good.",
        (SLOTS, HORIZON, LOW, HIGH),
        _build,
    ),
)
