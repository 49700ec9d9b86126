"""Which file is read and written how: by its ending, or by the format that a person names.

A format's module is imported when a file of it is met: Arrow alone would add a quarter to the start of every command.
So is what a log or an artefact becomes: commands offer the names of formats in their help, which needs no NumPy.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..engine.errors import InvalidInput
from ..engine.storage.arrow import format_module
from ..engine.storage.formats.packing import ending_of

if TYPE_CHECKING:
    from ..engine.storage.log import Log
    from ..engine.trained.artefact import Artefact
    from ..engine.vocabulary import Problem

MODULES = {"csv": "csv_table"}  # of engine/storage, where one is not called as its format
READERS = ("jsonl", "parquet", "dsjson", "vw", "obd", "li", "csv")  # modules with `read_rows` and `read_events`
EXPORTS = ("jsonl", "parquet")  # modules with a class `Writer` that holds all that an experiment logs
ROWS = ("events", "decisions")  # of what an export has rows; of decisions in the joined form
EXPORTED = (*EXPORTS, "dsjson", "vw")  # as what a log is exported; the last two hold what others train on
WRITERS = READERS  # modules with a class `Writer`
ENDINGS = {  # of a name without that of its packing, .gz or .zst
    ".jsonl": "jsonl",
    ".json": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".dsjson": "dsjson",
    ".vw": "vw",
    ".dat": "vw",
    ".li": "li",
}
CAMPAIGN = {b"timestamp", b"item_id", b"click", b"propensity_score"}  # columns of the Open Bandit Dataset


def form_of(path: Path, form: str | None, option: str = "--format") -> str:
    """Return the format that a person named, or else that of the file's ending."""
    if form is not None and form not in READERS:
        raise InvalidInput("unknown_format", f"there is no format {form!r}: there are {', '.join(READERS)}")
    form = form or _by_ending(path, READERS, option)
    return "obd" if form == "csv" and _is_campaign(path) else form


def form_to_write(path: Path, form: str | None) -> str:
    """Return the format in which a file is written: the one that a person named, or else that of its ending."""
    return form or _by_ending(path, WRITERS, "--to")


def form_to_export(path: Path, form: str | None) -> str:
    """Return the format in which a log is exported: the one that a person named, or else that of its ending."""
    return form or _by_ending(path, EXPORTED)


def check_rows(rows: str, form: str) -> None:
    """Refuse rows of decisions where a format has none: the joined form is one of our exports."""
    if rows == "decisions" and form not in EXPORTS:
        raise InvalidInput("not_joined", f"{form} has no other rows: --rows is for {' and '.join(EXPORTS)}")


def read_log(path: Path, form: str | None, dimension: int | None = None) -> Log:
    """Read a log; named features become rows of numbers where there is a `dimension`."""
    from ..engine.storage.log import Log
    from ..engine.storage.rows import Wanted

    name = form_of(path, form)
    if name in EXPORTS:
        read: Log = module_of(name).read(path)
        return read
    with module_of(name).read_rows(source_of(path), Wanted(dimension=dimension)) as rows:
        return Log(rows.problem, rows=rows.columns(), bad_lines=rows.bad_lines)


def read_artefact(path: Path) -> Artefact:
    """Return the artefact of two files, NAME.npz and NAME.json, of which one is named."""
    from ..engine.trained.artefact import unpack

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


def writer(path: Path, problem: Problem, experiment: dict[str, Any], begins: int = 0) -> Any:
    """Open an export for writing, which begins behind a base, 0 without one; to be used in a `with` statement."""
    return open_writer(_by_ending(path, EXPORTS), path, problem, experiment, begins)


def open_writer(form: str, path: Path, *header: Any) -> Any:
    """Open a file of some format for writing, and make its folder; to be used in a `with` statement.

    `header` is what its `Writer` takes beside the path: the problem, the experiment ...
    """
    return _opened(module_of(form).Writer, path, *header)


def open_joined(form: str, path: Path, *header: Any) -> Any:
    """Open an export in the joined form for writing, as `open_writer`."""
    return _opened(module_of(form).JoinedWriter, path, *header)


def _opened(make: Any, path: Path, *header: Any) -> Any:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return make(path, *header)
    except OSError as error:
        raise InvalidInput("cannot_write", f"cannot write {path} ({error.strerror}): name another file") from None


def source_of(path: Path, progress: Callable[[int], None] = lambda count: None) -> Any:
    """Return a file, or - for standard input, as the source of a log; `progress` is told how many bytes were read."""
    return importlib.import_module("onearm.engine.storage.source").Source(path, progress)


def module_of(form: str) -> Any:
    """Import the module of a format."""
    return format_module(MODULES.get(form, form), f"the format {form}")


def _by_ending(path: Path, known: tuple[str, ...], option: str = "--format") -> str:
    form = ENDINGS.get(ending_of(path))
    if form is None or form not in known:
        endings = ", ".join(ending for ending, name in ENDINGS.items() if name in known)
        raise InvalidInput("unknown_format", f"{path} does not end in {endings}: rename it or say {option}")
    return form


def _is_campaign(path: Path) -> bool:
    """Whether the header of a CSV file is that of the Open Bandit Dataset; what cannot be read says nothing."""
    if str(path) == "-":
        return False
    try:
        header = source_of(path).first_line()
    except OSError:
        return False
    return {name.strip().strip(b'"') for name in header.split(b",")} >= CAMPAIGN
