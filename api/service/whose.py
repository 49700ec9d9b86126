"""Whose an experiment is, where several processes serve one database."""

from __future__ import annotations

from typing import Protocol

from ...engine.errors import Unavailable


class Elsewhere(Unavailable):
    """Another process has the experiment of this name, or none has it at the moment."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "moving", "the experiment is on its way from one node to another: ask again in a second, any node answers"
        )
        self.name = name


class Whose(Protocol):
    """Knows which experiments are this process's."""

    def know(self, key: int, name: str) -> None:
        """Take note of the key of an experiment."""

    def check(self, name: str) -> None:
        """Raise `Elsewhere` where the experiment of a name is not this process's now; .3 us."""

    def has(self, name: str) -> bool:
        """Tell whether the experiment of a name is this process's now."""

    async def look_around(self) -> None:
        """Know of all experiments that there are by now, also of those that others made."""


class Everything(Whose):
    """All experiments are this process's, which serves the database alone."""

    def know(self, key: int, name: str) -> None:
        """Keep nothing: a name says enough."""

    def check(self, name: str) -> None:
        """Let it be."""

    def has(self, name: str) -> bool:
        """Say so."""
        return True

    async def look_around(self) -> None:
        """See none: nobody else makes any."""
