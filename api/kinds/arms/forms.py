"""The forms for arms: alone, by features, and in states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....engine.storage.numerals import natural_in
from ..form import ARMS, Field, Form, FormError, arms_of, lines_of, whole_of

CONTEXT = Field(
    "context",
    "A context is",
    "Named features are a JSON object of any names: numbers, texts, true and false. Numbers are a list of one length.",
    default="named features",
    choices=("named features", "numbers"),
    about=("problem.context", "context"),
)
LENGTH = Field(
    "length",
    "How many numbers",
    "Of each context, where it is a list of numbers.",
    about=("problem.context.length", "length"),
)
STATES = Field(
    "states",
    "States",
    "The ids of all states, one a line; or just how many there are.",
    lines=True,
    about=("state", "states"),
    needed="name the states, one a line, or say how many there are",
)


def _alone(given: Mapping[str, str]) -> dict[str, Any]:
    return {"arms": arms_of(given)}


def _by_features(given: Mapping[str, str]) -> dict[str, Any]:
    context: dict[str, Any] = {"kind": "features"}
    if given.get("context") == "numbers":
        if (length := whole_of(given, "length", LENGTH.label)) is None:
            raise FormError("length", "say how many numbers a context has")
        context = {"kind": "dense", "length": length}
    return {"arms": arms_of(given), "problem": {"context": context}}


def _in_states(given: Mapping[str, str]) -> dict[str, Any]:
    lines = lines_of(given, "states")
    only = lines[0] if len(lines) == 1 else ""
    count = natural_in(only)
    states = {"ids": lines} if count is None else {"count": count}
    return {"arms": arms_of(given), "problem": {"states": states}}


FORMS = (
    Form("arms", "One of a few", "Which banner, price or model is best for everyone?", (ARMS,), _alone),
    Form(
        "contexts",
        "One of a few, by features",
        "Which is best for this visitor, at this hour, on this device?",
        (ARMS, CONTEXT, LENGTH),
        _by_features,
    ),
    Form(
        "states",
        "One of a few, in a state",
        "What is done now changes what comes next: a level, a stage, a stock.",
        (ARMS, STATES),
        _in_states,
    ),
)
