"""The C loops of reference.c, built with cc -O3 -march=native and called through ctypes.

Run: python benchmarks/reference.py prints their speed alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from c_loops import c_loops

SOURCE = Path(__file__).with_name("reference.c")
TABLE_SIZE = 65536  # MASK + 1 of reference.c
MEANS = np.linspace(0.1, 0.82, 10)  # KK arms of reference.c
# Our policy's name: the C function, and what it takes between the table and the seed.
FUNCTIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "ucb1": ("ucb1", ()),
    "epsilon_greedy": ("egreedy", (0.1,)),
    "exp3_ix": ("exp3", ()),
    "thompson_beta": ("ts", ()),
    "tsallis_inf": ("tsallis", ()),
}


class Reference:
    """The built library, and the table of uniforms that its rewards come from."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._table = np.random.default_rng(0).random(TABLE_SIZE)

    def play(self, policy: str, steps: int, seed: int = 1) -> float:
        """Run `steps` steps of a policy and return the mean reward."""
        name, extra = FUNCTIONS[policy]
        function = self._library[name]
        function.restype = ctypes.c_double
        address = ctypes.c_void_p
        numbers = [ctypes.c_double(number) for number in extra]
        return float(
            function(
                ctypes.c_long(steps),
                address(MEANS.ctypes.data),
                address(self._table.ctypes.data),
                *numbers,
                ctypes.c_uint64(seed),
            )
        )

    def steps_per_second(self, policy: str, steps: int) -> float:
        """Return steps per second of CPU."""
        start = time.thread_time()
        self.play(policy, steps)
        return steps / (time.thread_time() - start)


@contextlib.contextmanager
def reference() -> Iterator[Reference | None]:
    """Build the library; yield None where there is no C compiler."""
    with c_loops(SOURCE) as library:
        yield None if library is None else Reference(library)


if __name__ == "__main__":
    with reference() as built:
        for policy in FUNCTIONS if built else ():
            assert built is not None
            print(f"{policy:15} {built.steps_per_second(policy, 5_000_000) / 1e6:8.1f} million steps a second")
