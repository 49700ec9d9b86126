"""What is wrong with a file from outside whose kernels do not compile: its own line, and not numba's way there.

Numba reports every call from the loop down, and tries each function twice. What people can mend stands deepest: the
first place in their own file that the report names, and the sentence before it.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable
from pathlib import Path

PLACE = re.compile(r'During: .* at (.+) \((\d+)\)|File "(.+)", line (\d+):')
STEP = "Failed in nopython mode pipeline"
CALL = ">>> "  # how numba writes a call that no function takes


def complaint(report: str, files: Iterable[Path]) -> str:
    """Return what a report of numba says of the first of its places in one of these files; all of it if none is."""
    names = {file.name: file for file in files}
    lines = report.splitlines()
    for row, text in enumerate(lines):
        if (found := PLACE.search(text)) is None:
            continue
        path, line = (found[1] or found[3]), int(found[2] or found[4])
        if (file := names.get(Path(path).name)) is not None:
            source = linecache.getline(str(file), line).strip()
            return f"{file}, line {line}: {_reason(lines[:row])} in `{source}`"
    return report


def _reason(lines: list[str]) -> str:
    """Return the sentence that a place is given for: what follows the last step that failed."""
    steps = [row for row, text in enumerate(lines) if STEP in text]
    said = [text.strip() for text in lines[steps[-1] + 1 if steps else 0 :] if text.strip() and "During: " not in text]
    call = next((text.removeprefix(CALL) for text in said if text.startswith(CALL)), None)
    first = said[0].rstrip(":") if said else "numba refuses it"
    return f"no function takes {call}" if call is not None and "No implementation" in first else first
