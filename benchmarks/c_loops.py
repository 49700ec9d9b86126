"""C loops that speed is measured against: built when they are needed, and called through ctypes."""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FLAGS = ("-O3", "-march=native", "-shared", "-fPIC")


@contextlib.contextmanager
def c_loops(source: Path, *flags: str) -> Iterator[ctypes.CDLL | None]:
    """Build a C file in a temporary folder; yield None, and say so, where there is no C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        print("!!! there is no C compiler (cc, gcc, clang): the ratios to C are MISSING from this run", file=sys.stderr)
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "reference.so")
        subprocess.run([compiler, *FLAGS, *flags, str(source), "-o", str(library), "-lm"], check=True)
        yield ctypes.CDLL(str(library))
