"""The form for vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..form import Field, Form, FormError, number_of, numbers_of, whole_of

SHAPES = ("ball", "box", "simplex")
DOMAIN = Field(
    "domain",
    "Where it lies",
    "ball: within a distance of the origin; box: each number between limits; simplex: parts of one.",
    "ball",
    choices=SHAPES,
    about=("domain",),
)
DIMENSION = Field("dimension", "How many numbers", "Of a ball or a simplex.", "2", about=("dimension",))
RADIUS = Field("radius", "Radius", "Of a ball.", "1", about=("radius",))
LOW = Field("low", "Box from", "The least of each number, with spaces between: 0 -1", about=("low",))
HIGH = Field("high", "Box to", "The most of each number.", about=("high",))
FEEDBACK = Field(
    "feedback",
    "What you learn of it",
    "gradient: how the loss changes with each number; losses: the loss of each; reward: one number.",
    "gradient",
    choices=("gradient", "losses", "reward"),
    about=("feedback", "policy"),
)


def _build(given: Mapping[str, str]) -> dict[str, Any]:
    shape = given.get("domain", "ball")
    if shape not in SHAPES:
        raise FormError("domain", f"the domain is {shape[:40]!r}: it must be one of {', '.join(SHAPES)}")
    domain: dict[str, Any] = {"kind": shape}
    if shape == "box":
        domain |= {name: numbers_of(given, name, f"the box's {name}") for name in ("low", "high")}
    else:
        if (dimension := whole_of(given, "dimension", DIMENSION.label)) is None:
            raise FormError("dimension", f"say how many numbers a {shape} has")
        domain["dimension"] = dimension
    if shape == "ball" and (radius := number_of(given, "radius", RADIUS.label)) is not None:
        domain["radius"] = radius
    return {"problem": {"kind": "vector", "domain": domain, "feedback": given.get("feedback", "gradient")}}


FORMS = (
    Form(
        "vectors",
        "Some numbers",
        "Set a dial, split a budget, weigh experts: a point, and how good its neighbours would be.",
        (DOMAIN, DIMENSION, RADIUS, LOW, HIGH, FEEDBACK),
        _build,
    ),
)
