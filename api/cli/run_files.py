"""What a simulation found, in files for a paper: curves as CSV, a table for LaTeX, a plot."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...engine.errors import InvalidInput
from ...engine.simulation import Curves
from ...policies import catalog
from ..notebook.pictures import pictures
from ..simulated import TOLD_APART, differences, summary, title_of

PLOTS = (".svg", ".pdf", ".png")
SPECIAL = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
}


class Files(NamedTuple):
    """Which files are asked for."""

    plot: Path | None
    curves: Path | None
    latex: Path | None


def check_files(files: Files) -> None:
    """Refuse what could not be written, before anything runs; make the folders."""
    if files.plot is not None:
        if files.plot.suffix.lower() not in PLOTS:
            raise InvalidInput("bad_plot", f"{files.plot} is no picture: its name must end in {', '.join(PLOTS)}")
        pictures()
    for file in files:
        if file is not None:
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InvalidInput(
                    "bad_folder", f"{file.parent} cannot be made ({error.strerror}): name another one"
                ) from None
            if file.is_dir():
                raise InvalidInput("bad_file", f"{file} is a folder: name a file")


def write_files(files: Files, runs: Sequence[Curves]) -> None:
    """Write the files that are asked for."""
    labels = [catalog.label(run.policy) for run in runs]
    if files.curves is not None:
        write_curves(files.curves, runs, labels)
    if files.latex is not None:
        files.latex.write_text(latex_of(runs, labels), encoding="utf-8")
    if files.plot is not None:
        axes = pictures().draw_runs(list(zip(labels, runs, strict=True)))
        axes.figure.savefig(files.plot, metadata={"Date": None} if files.plot.suffix.lower() == ".svg" else None)


def write_curves(file: Path, runs: Sequence[Curves], labels: Sequence[str]) -> None:
    """Write a line for each policy, replication and time: reward and regret up to then."""
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["policy", "replication", "t", "reward", "regret"])
        for label, run in zip(labels, runs, strict=True):
            for r, (reward, regret) in enumerate(zip(run.reward.tolist(), run.regret.tolist(), strict=True)):
                known = regret if run.regret_kind is not None else [""] * len(regret)
                table.writerows([label, r, *at] for at in zip(run.t.tolist(), reward, known, strict=True))


def latex_of(runs: Sequence[Curves], labels: Sequence[str]) -> str:
    """Return a table for LaTeX with booktabs; what is not told apart from the best is bold."""
    found = [summary(run) for run in runs]
    shown = [name for name in ("reward", "regret", "loss") if found[0].get(f"{name}_mean") is not None]
    apart = {each.policy for each in differences(runs) if each.p < TOLD_APART}
    paired = len(runs) > 1 and len(runs[0].reward) > 1
    first, marks = runs[0], "the best, and what a paired t-test with Holm's correction does not tell apart from it"
    lines = [
        f"% {title_of(first)}; +- is a standard error",
        *([f"% bold: {marks}, p at least {TOLD_APART}"] if paired else []),
        rf"\begin{{tabular}}{{l{'r' * len(shown)}}}",
        r"\toprule",
        " & ".join(["policy", *shown]) + r" \\",
        r"\midrule",
    ]
    for label, run in zip(labels, found, strict=True):
        name = "".join(SPECIAL.get(letter, letter) for letter in label)
        cells = [_cell(run, each) for each in shown]
        lines.append(" & ".join([rf"\textbf{{{name}}}" if paired and label not in apart else name, *cells]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _cell(run: dict[str, Any], name: str) -> str:
    mean, stderr = run[f"{name}_mean"], run[f"{name}_stderr"]
    return f"${mean:.4g}$" if stderr is None else rf"${mean:.4g} \pm {stderr:.2g}$"
