"""The form for lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..form import ARMS, Field, Form, arms_of, whole_of

SLOTS = Field(
    "slots",
    "Slots",
    "How many places a list has at most.",
    "3",
    about=("problem.slots", "slots"),
    needed="say how many slots there are",
)


def _build(given: Mapping[str, str]) -> dict[str, Any]:
    slots = {"max": whole_of(given, "slots", SLOTS.label)}
    return {"arms": arms_of(given), "problem": {"kind": "lists", "slots": slots}}


FORMS = (Form("lists", "A list of a few", "A page, a shelf: several places, filled together.", (ARMS, SLOTS), _build),)
