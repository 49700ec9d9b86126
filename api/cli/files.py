"""Which file is read and written how: by its ending, or by the format that a person names.

A format's module is imported when a file of it is met: Arrow alone would add a quarter to the start of every command.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from onearm.engine.artefact import Artefact, unpack
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.vocabulary import Problem

if TYPE_CHECKING:
    from onearm.engine.storage.log import Log

READERS = ("jsonl", "parquet", "obd", "dsjson")  # modules of engine/storage with a function `read`
WRITERS = ("jsonl", "parquet")  # modules of engine/storage with a class `Writer`
ENDINGS = {
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "obd",
    ".dsjson": "dsjson",
}

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(READERS),
    help="What the file is; default: by its ending (.jsonl, .parquet, .csv = obd, the Open Bandit Dataset, "
    ".dsjson = Vowpal Wabbit's logs).",
)


def form_of(path: Path, form: str | None) -> str:
    """Return the format that a person named, or else that of the file's ending."""
    return form or _by_ending(path, READERS)


def read_log(path: Path, form: str | None, dimension: int | None = None) -> Log:
    """Read a log; the named features of dsjson become rows of numbers where there is a `dimension`."""
    name = form_of(path, form)
    encoder = (Encoder(dimension=dimension),) if name == "dsjson" else ()
    log: Log = _module(name).read(path, *encoder)
    return log


def read_artefact(path: Path) -> Artefact:
    """Return the artefact of two files, NAME.npz and NAME.json, of which one is named."""
    if path.suffix not in (".npz", ".json"):
        raise InvalidInput("bad_artefact", f"{path} does not end in .npz or .json: name one of an artefact's two files")
    both = []
    for suffix in (".npz", ".json"):
        file = path.with_suffix(suffix)
        try:
            both.append(file.read_bytes())
        except OSError as error:
            raise InvalidInput(
                "no_file", f"{file} cannot be read ({error.strerror}): an artefact is NAME.npz and NAME.json together"
            ) from None
    return unpack(both[0], both[1], f"the artefact {path.stem!r}")


def writer(path: Path, problem: Problem, experiment: dict[str, Any]) -> Any:
    """Open an export for writing; to be used in a `with` statement."""
    module = _module(_by_ending(path, WRITERS))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return module.Writer(path, problem, experiment)
    except OSError as error:
        raise InvalidInput("cannot_write", f"cannot write {path} ({error.strerror}): name another file") from None


def _module(form: str) -> Any:
    return importlib.import_module(f"onearm.engine.storage.{form}")


def _by_ending(path: Path, known: tuple[str, ...]) -> str:
    form = ENDINGS.get(path.suffix.lower())
    if form is None or form not in known:
        endings = ", ".join(ending for ending, name in ENDINGS.items() if name in known)
        raise InvalidInput("unknown_format", f"{path} does not end in {endings}: rename it or say --format")
    return form
