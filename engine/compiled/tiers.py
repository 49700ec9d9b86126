"""The two tiers of a loop: its Python function, which answers at once, and what numba compiled, which is there later.

Both give the same bits, of the package's own policies and environments: tests/parity/test_tiers.py. A class from
outside may give others (`context.sum()`, float32 and division by zero differ between Python and numba), so what holds
one has no first tier.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np

Function = Callable[..., Any]


class Order(NamedTuple):
    """What another process must know to compile an entry. No state is in it: only the types of arguments."""

    loop: str  # "module:name"
    modules: list[str]  # that hold the classes and kernels of the signature
    signature: Any  # numba types


class Specialised(Protocol):
    """What an entry asks of its loop."""

    def name(self, signature: Any) -> str:
        """Return the name of the function, and that of the policy or environment whose kernels it runs."""
        ...

    def order(self, signature: Any) -> Order:
        """Return what another process must know to compile for a signature."""
        ...

    def holds(self, signature: Any) -> bool:
        """Tell whether the code for a signature is compiled in this process, or on disk."""
        ...

    def code(self, signature: Any) -> Function:
        """Return the code for a signature: of this process, from disk, or compiled now."""
        ...

    def hasten(self, entry: Entry) -> None:
        """Let an entry be compiled before anything else, and wait for that."""


class Entry:
    """A loop for arguments of the same types.

    `call` is what to call now, and `compiled` tells which tier that is. It becomes the compiled code by one assignment
    in another thread, between two calls. So whoever wants each nanosecond keeps `call` from when it is `compiled` on.
    """

    __slots__ = ("call", "compiled", "loop", "signature")

    def __init__(self, loop: Specialised, signature: Any, call: Function, compiled: bool) -> None:
        self.loop = loop
        self.signature = signature
        self.call = call
        self.compiled = compiled

    def __call__(self, *args: Any) -> Any:
        """Run it, on the tier that is there."""
        return self.call(*args)

    def finish(self) -> None:
        """Go over to the compiled code: of this process, from disk, or compiled now."""
        self.call = self.loop.code(self.signature)
        self.compiled = True

    def wait(self) -> None:
        """Return once it is compiled: here, where that has not begun yet."""
        if not self.compiled:
            self.loop.hasten(self)

    @property
    def name(self) -> str:
        """Return what it is called where people read it: `decide(ucb1)`."""
        return self.loop.name(self.signature)


def interpreted(function: Function) -> Function:
    """Return a Python function as the first tier: what is not finite is no news, as in compiled code."""

    @functools.wraps(function)
    def quiet(*args: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args)

    return quiet
