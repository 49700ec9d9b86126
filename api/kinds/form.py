"""How people are asked what a new experiment is: one form for each way to use a kind of decision.

A form has fields of text, and builds what `POST /v1/experiments` reads of a problem. Its lines say what each is for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ...engine.errors import InvalidInput
from ...engine.storage.numerals import number_in

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")  # of what fits in 64 bits


class Field(NamedTuple):
    """A field of a form."""

    name: str
    label: str
    hint: str  # what it is for, and what may be written
    default: str = ""
    lines: bool = False  # whether it takes several lines
    choices: Sequence[str] = ()  # of which one is taken
    about: Sequence[str] = ()  # words of a refusal that say that this field is meant
    needed: str = ""  # what is said where it is empty and may not be


class Form(NamedTuple):
    """How to ask for one sort of experiment."""

    name: str  # in addresses
    title: str
    line: str  # when to take it
    fields: tuple[Field, ...]
    build: Callable[[Mapping[str, str]], dict[str, Any]]  # of the texts of these fields; raises `FormError`


class FormError(InvalidInput):
    """A field holds what cannot be read."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__("bad_field", message)
        self.field = field


ARMS = Field(
    "arms",
    "Actions",
    "What can be chosen, one a line. These are the ids that decisions answer.",
    lines=True,
    about=("arm", "arms"),
    needed="name the actions, one a line",
)


def lines_of(given: Mapping[str, str], field: str) -> list[str]:
    """Return the lines of a field, without those that are empty.

    >>> lines_of({"arms": " a \\n\\nb"}, "arms")
    ['a', 'b']
    """
    return [line.strip() for line in given.get(field, "").splitlines() if line.strip()]


def number_of(given: Mapping[str, str], field: str, label: str) -> float | int | None:
    """Return the number of a field, which is finite, and whole where it is written so; None where it is empty.

    >>> number_of({"x": "7"}, "x", "X"), number_of({"x": "1e3"}, "x", "X"), number_of({}, "x", "X")
    (7, 1000.0, None)
    """
    text = given.get(field, "").strip()
    if not text:
        return None
    number = int(text) if WHOLE.fullmatch(text) else number_in(text)
    if not math.isfinite(number):
        raise FormError(field, f"{label} is {text[:40]!r}: it must be a number, such as 2 or 0.5")
    return number


def whole_of(given: Mapping[str, str], field: str, label: str) -> int | None:
    """Return the whole number of a field, None where it is empty."""
    text = given.get(field, "").strip()
    if text and not WHOLE.fullmatch(text):
        raise FormError(field, f"{label} is {text[:40]!r}: it must be a whole number of at most 18 digits")
    return int(text) if text else None


def numbers_of(given: Mapping[str, str], field: str, label: str) -> list[float | int]:
    """Return the numbers of a field, with commas or spaces between."""
    parts = given.get(field, "").replace(",", " ").split()
    found = [number_of({field: part}, field, label) for part in parts]
    return [one for one in found if one is not None]


def range_of(given: Mapping[str, str], low_field: str, high_field: str) -> list[float | int] | None:
    """Return between what rewards lie, as two fields say it; None where both are empty.

    >>> range_of({"from": "0", "to": "1"}, "from", "to"), range_of({}, "from", "to")
    ([0, 1], None)
    """
    low = number_of(given, low_field, "the least reward")
    high = number_of(given, high_field, "the greatest reward")
    if low is None and high is None:
        return None
    if low is None or high is None:
        raise FormError(low_field, "rewards have one end only: give both, or none")
    if low >= high:
        raise FormError(low_field, f"rewards lie from {low:g} to {high:g}: the lower one comes first")
    return [low, high]


def arms_of(given: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return arms by their ids."""
    return [{"id": line} for line in lines_of(given, ARMS.name)]
