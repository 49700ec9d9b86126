"""Where an evaluation is shown: what must be right before a long run, and the page and the pictures behind it."""

from __future__ import annotations

import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...engine.errors import InvalidInput
from .drawing import drawing
from .evaluation import Evaluation
from .options import WITHOUT_DIAGNOSTICS
from .reading import Logged


def pen_for(log: str, report: Path | None, plots: Path | None, *, diagnostics: bool) -> Any:
    """Return what draws, after a check that all can be written: a long run must not end in an error."""
    if not diagnostics:
        raise InvalidInput(
            "no_diagnostics",
            f"{'--plots' if report is None else '--report'} shows how far the log can be trusted, which "
            f"{WITHOUT_DIAGNOSTICS} leaves out: leave one of the two away",
        )
    if report is not None:
        if report.suffix.lower() not in (".html", ".htm"):
            raise InvalidInput("bad_report", f"{report} does not end in .html: the report is a page")
        if report.is_dir() or (Path(log).exists() and report.exists() and report.samefile(log)):
            raise InvalidInput("bad_report", f"{report} is the log, or a folder: name another file for the report")
    for folder in (None if report is None else report.parent, None if plots is None else plots.parent):
        if folder is not None and not folder.is_dir():
            raise InvalidInput("bad_folder", f"there is no folder {folder}: make it, or name another one")
    try:
        if plots is not None:
            plots.mkdir(exist_ok=True)
    except OSError as error:
        raise InvalidInput("bad_folder", f"{plots} cannot be made ({error.strerror}): name another one") from None
    return drawing()


def draw(pen: Any, found: Evaluation, place: Logged, command: str, report: Path | None, plots: Path | None) -> None:
    """Write the page and its plots, where they are asked for; `command` is how they were."""
    made = datetime.datetime.now().astimezone().isoformat(" ", "minutes")
    about = pen.About(place.name, place.form, command, version("onearm"), made, found.options.seed)
    if report is not None:
        pen.write_report(report, found, about)
    if plots is not None:
        pen.write_plots(plots, found, about)
