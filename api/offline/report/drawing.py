"""The report's interface: an evaluation becomes a page, or pictures in a folder. It needs matplotlib."""

from __future__ import annotations

import os
from pathlib import Path

from ..evaluation import Evaluation
from .about import About
from .canvas import saved
from .figures import pictures
from .findings import find
from .frame import Frame, alone
from .page import page

__all__ = ["About", "Frame", "page", "write_plots", "write_report"]


def write_report(path: Path, found: Evaluation, about: About) -> None:
    """Write the report into a file, as one page that asks nothing of the network; make the folder where it lies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    partial.write_text(page(found, about, alone()), encoding="utf-8")
    partial.replace(path)


def write_plots(folder: Path, found: Evaluation, about: About) -> list[Path]:
    """Write the report's pictures into a folder, each as PNG and as SVG, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    return saved(folder, pictures(find(found)), about.log)
