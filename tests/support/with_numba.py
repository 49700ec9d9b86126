"""Processes that have imported numba, and nothing of ours: each is a copy of one that has.

To import numba, and to let it make its tables ready, takes 1 s of CPU time. What tests look at in such a process begins
behind that: which package it imports, which folder of compiled code it finds, and what it compiles.

With the JIT off such a process has imported what services are made of as well, which takes another second: what tests
look at there is how ours is imported where something is missing, and what is left where a process ends.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from support.original import Original

PATIENCE = 600.0  # seconds: a busy machine is no bug
NUMBA = "import numba\nnumba.njit(lambda x: x + 1.0)(1.0)"  # its first call makes its tables
LIBRARIES = ("alembic.command", "fastapi", "gymnasium", "httpx", "rich.console", "sqlalchemy", "uvicorn")
AS_PYTHON = {"NUMBA_DISABLE_JIT": "1"}  # of the settings of a process, the one that numba reads as it is imported
COMMAND = "import sys\nfrom onearm.api.cli.main import run\nsys.exit(run(sys.argv[1:]))"  # `onearm`, as code


class Done(NamedTuple):
    """What a process left behind, in the words of `subprocess.CompletedProcess`."""

    returncode: int
    stdout: str
    stderr: str


def run(code: str, *arguments: str, path: Sequence[Path] = (), folder: str | Path = ".", **settings: str) -> Done:
    """Run code in a copy that finds modules in `path` first; return what it left behind.

    `settings` are its environment beside that of this process, without what numba reads as it is imported. But for
    `**AS_PYTHON` the JIT is on.
    """
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        original = begin()[settings.get("NUMBA_DISABLE_JIT", "0")]
        copy = original.copy(code, arguments, stdout, stderr, [*map(str, path)], folder, **settings)
        ended = copy.ended(PATIENCE)
        assert ended is not None, "a process of a test does not end"
        for stream in (stdout, stderr):
            stream.seek(0)
        return Done(ended, stdout.read(), stderr.read())


@functools.cache
def begin() -> dict[str, Original]:
    """Begin what is copied, and return it by what NUMBA_DISABLE_JIT says."""
    first = {"0": NUMBA, "1": f"{NUMBA}\nimport {', '.join(LIBRARIES)}"}
    return {off: Original(f"numba-{off}", code, NUMBA_DISABLE_JIT=off) for off, code in first.items()}
