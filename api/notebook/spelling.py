"""Messages as Python spells them: what is an option of a command is an argument here."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from typing import Any

from ...engine.errors import OnearmError
from ..offline.options import BY_RANGE, WITHOUT_DIAGNOSTICS

OPTION = re.compile(r"(?<!\S)--([a-z]+(?:-[a-z]+)*)(?: (\d[\d.e+-]*\d|\d)| ([A-Z](?:,[A-Z])+))?")


@contextmanager
def as_arguments(function: Callable[..., Any]) -> Iterator[None]:
    """Name the arguments of a function in what is refused, where a message names the options of a command."""
    names = inspect.signature(function).parameters.keys()
    try:
        yield
    except OnearmError as error:
        error.args = (spelled(str(error), names),)
        raise


def spelled(message: str, names: Set[str]) -> str:
    """Return a message with those of the names as arguments that it has as options, but in commands, in backticks.

    >>> spelled("say --arms, and leave out --weight-max 0.5: choose by --features A,B,C", {"arms", "weight_max"})
    'say arms, and leave out weight_max=0.5: choose by --features A,B,C'
    >>> spelled("choose by --features A,B,C", {"features"})
    "choose by features='A,B,C'"
    >>> spelled("leave out --arms, or say `onearm evaluate --arms 3`", {"arms"})
    'leave out arms, or say `onearm evaluate --arms 3`'
    """

    def argument(found: re.Match[str]) -> str:
        option, number, columns = found.groups()
        name = option.replace("-", "_")
        if name not in names:
            return found.group()
        return name + (f"={number}" if number else "") + (f"={columns!r}" if columns else "")

    known = message.replace(BY_RANGE, "by reward_range=(LOW, HIGH)")
    parts = known.replace(WITHOUT_DIAGNOSTICS, "diagnostics=False").split("`")
    return "`".join(part if i % 2 else OPTION.sub(argument, part) for i, part in enumerate(parts))
