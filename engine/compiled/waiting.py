"""Who is told that a program waits for code to be compiled: nobody, unless somebody listens."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str], None]  # takes the name of an entry, before it is compiled


class Waiting:
    """What a program that waits says, and to whom."""

    def __init__(self) -> None:
        self.listener: Listener | None = None

    def tell(self, name: str) -> None:
        """Say that an entry is compiled now, and the program waits for it."""
        if self.listener is not None:
            self.listener(name)


WAITING = Waiting()
