"""A log for candidates: read once for all that read it alike, and with no more of it than they need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, ClassVar, Protocol

from ...engine.errors import InvalidInput, counted
from ...engine.replay.matching import check_matching
from ...engine.storage.arrow import format_module
from ...engine.storage.header import problem_in
from ...engine.storage.period import ALWAYS, Period, check_period, keep_period
from ...engine.storage.rows import Naming, Rows, Wanted
from ...engine.storage.source import STDIN, Source
from ..log_files import EXPORTS, module_of, source_of
from ..service.experiment_log import ExperimentLog, opened_log
from .candidate_kinds import Candidate
from .files import files_of, here, lies_elsewhere
from .joined import join
from .judging import ReadBeside, Readings
from .options import MODELLED, OWN, Options

DATABASE = "database"
DIMENSION = 256  # columns that named features are hashed to, for what reads rows of numbers
NAMED = ("dsjson", "vw")  # formats whose features have names
TABLES = ("csv", "jsonl", "parquet")  # formats in which a table can be, with columns of any names
ALL = Wanted()  # with columns by their usual names
Advance = Callable[[int], None]


class Readable(Protocol):
    """A log that can be read as often as candidates need it."""

    @property
    def name(self) -> str:
        """Return what people call it."""
        ...

    @property
    def form(self) -> str:
        """Return its format."""
        ...

    @property
    def is_named(self) -> bool:
        """Whether its features have names."""
        ...

    @property
    def has_columns(self) -> bool:
        """Whether columns can be read beside its decisions."""
        ...

    def rows(self, wanted: Wanted, progress: Advance = lambda count: None) -> Rows:
        """Read it."""
        ...


class Logged(Readable, Protocol):
    """A log that a person named, or handed over."""

    @property
    def size(self) -> int | None:
        """Return how large it is; None where nobody knows."""
        ...

    @property
    def counted(self) -> str:
        """Return of what `size` and progress are counts."""
        ...

    @property
    def is_table(self) -> bool:
        """Whether it is a table of decisions, and no export."""
        ...

    @property
    def in_files(self) -> Place | None:
        """Return where its files are, which others can read too; None of what is in memory."""
        ...

    def here(self, stack: ExitStack) -> Logged:
        """Return the same on this machine: `stack` takes away the copies of what lies elsewhere."""
        ...

    def kept(self, stack: ExitStack) -> Logged:
        """Return what can be read more than once; `stack` keeps it."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a log is."""

    name: str  # a path, - for standard input, or the URL of a database
    form: str
    experiment: str | None = None  # of a database
    inside: tuple[str, ...] = ()  # the files of a log that lies in several
    left_out: tuple[str, ...] = ()  # files beside them that are none of the log

    @property
    def notes(self) -> list[str]:
        """Return what is said of files that were left out, the first few by name."""
        count, names = len(self.left_out), ", ".join(Path(file).name for file in self.left_out[:5])
        if not count:
            return []
        return [f"{counted(count, 'file was', 'files were')} left out: {names}{', ...' * (count > 5)}"]

    @property
    def files(self) -> tuple[str, ...]:
        """Return the files of the log, in their order; a database counts as one."""
        return self.inside or (self.name,)

    def of(self, files: tuple[str, ...]) -> Place:
        """Return some of its files as a place of their own."""
        return replace(self, name=files[0], inside=files if len(files) > 1 else ())

    @property
    def absolute(self) -> Place:
        """Return the same, with files named as processes in other folders find them."""
        if self.form == DATABASE:
            return self
        return self.of(tuple(file if lies_elsewhere(file) else str(Path(file).absolute()) for file in self.files))

    @property
    def in_files(self) -> Place:
        """Return it."""
        return self

    def here(self, stack: ExitStack) -> Place:
        """Return the same on this machine: `stack` takes away the copies of what lies elsewhere."""
        if self.form == DATABASE or not any(map(lies_elsewhere, self.files)):
            return self
        return self.of(tuple(stack.enter_context(here(file)) for file in self.files))

    counted: ClassVar[str] = "bytes"

    @property
    def size(self) -> int | None:
        """Return the bytes of the file; None where nobody knows."""
        size: int | None = None if self.form == DATABASE else source_of(Path(self.name)).size
        return size

    @property
    def is_named(self) -> bool:
        """Whether its features have names."""
        if self.form == DATABASE:
            with opened_log(self.name, self.experiment) as log:
                return log.problem.layout == "named"
        if self.form not in EXPORTS:
            return self.form in NAMED
        problem = problem_in(source_of(Path(self.files[0])), self.form)
        return problem is not None and problem.layout == "named"

    @property
    def has_columns(self) -> bool:
        """Whether columns can be read beside its decisions."""
        return self.form == "obd" or self.is_table

    @property
    def is_table(self) -> bool:
        """Whether it is a table of decisions, and no export."""
        return self.form in TABLES and (
            self.form == "csv" or problem_in(source_of(Path(self.files[0])), self.form) is None
        )

    def rows(self, wanted: Wanted, progress: Advance = lambda count: None) -> Rows:
        """Read it."""
        if self.inside:
            with ExitStack() as stack:
                return join([(file, stack.enter_context(self.of((file,)).rows(wanted))) for file in self.inside])
        if self.form != DATABASE:
            rows: Rows = module_of(self.form).read_rows(source_of(Path(self.name), progress), wanted)
        else:
            with opened_log(self.name, self.experiment) as log:
                rows = log.rows(wanted)
        check_matching(rows.problem)
        return rows

    def kept(self, stack: ExitStack) -> Place:
        """Return a copy of standard input, and any other place as it is."""
        if self.name != str(STDIN):
            return self
        file = stack.enter_context(NamedTemporaryFile(prefix="standard-input-"))  # noqa: SIM115 - the stack closes it
        for part in Source(STDIN).parts():
            file.write(part)
        file.flush()
        return replace(self, name=file.name)


@dataclass(frozen=True)
class Handed:
    """A table in memory, as Arrow has it: see engine/storage/formats/frame.py."""

    table: Any

    name: ClassVar[str] = "the table"
    form: ClassVar[str] = "table"
    counted: ClassVar[str] = "rows"
    is_named: ClassVar[bool] = False
    is_table: ClassVar[bool] = True
    has_columns: ClassVar[bool] = True

    @property
    def size(self) -> int:
        """Return the number of rows."""
        return int(self.table.num_rows)

    def rows(self, wanted: Wanted, progress: Advance = lambda count: None) -> Rows:
        """Read it."""
        rows: Rows = format_module("frame", "a table in memory").read_rows(self.table, wanted, progress)
        check_matching(rows.problem)
        return rows

    in_files: ClassVar[None] = None

    def here(self, stack: ExitStack) -> Handed:
        """Return it."""
        return self

    def kept(self, stack: ExitStack) -> Handed:
        """Return it."""
        return self


def handed(frame: Any) -> Handed:
    """Return a table of any library: whatever has the Arrow PyCapsule interface."""
    return Handed(format_module("frame", "a table in memory").arrow_of(frame))


@dataclass(frozen=True)
class Own:
    """The log of an experiment whose database is open."""

    name: str
    log: ExperimentLog

    form: ClassVar[str] = DATABASE
    has_columns: ClassVar[bool] = False

    @property
    def is_named(self) -> bool:
        """Whether its features have names."""
        return self.log.problem.layout == "named"

    def rows(self, wanted: Wanted, progress: Advance = lambda count: None) -> Rows:
        """Read it."""
        rows = self.log.rows(wanted, progress)
        check_matching(rows.problem)
        return rows


def place_of(name: str, form: str | None, experiment: str | None) -> Place:
    """Return where the log is that a person named."""
    if "://" in name and not lies_elsewhere(name):
        if form is not None:
            raise InvalidInput("no_format", f"{name} is a database: it has no --format")
        return Place(name, DATABASE, experiment)
    if experiment is not None:
        raise InvalidInput("no_experiment", f"{name} is a file: --experiment is for a database")
    found = files_of(name, form)
    return Place(name, found.form, inside=() if found.files == (name,) else found.files, left_out=found.left_out)


def read(
    place: Logged,
    candidates: Sequence[Candidate],
    options: Options,
    stack: ExitStack,
    wanted: Wanted = ALL,
    period: Period = ALWAYS,
    progress: Advance = lambda count: None,
) -> Readings:
    """Read a log as `readings` does; standard input that is read more than once is kept."""
    if place.form in EXPORTS or len(candidates) > 1 or MODELLED & set(options.methods):
        place = place.kept(stack)
    check_naming(place, wanted.naming)
    return readings(place, candidates, options, stack, wanted, period, progress)


def read_part(
    place: Place,
    candidates: Sequence[Candidate],
    options: Options,
    stack: ExitStack,
    wanted: Wanted,
    period: Period,
    *,
    contexts: bool,
) -> Readings:
    """Read a part of a log as `read` does; there may be no row in it, and no candidate to read it for."""
    check_naming(place, wanted.naming)
    return _readings(place, candidates, options, stack, wanted, period, contexts=contexts)


def check_naming(place: Logged, naming: Naming) -> None:
    """Refuse names of columns for what is no table."""
    if naming != Naming() and not place.is_table:
        raise InvalidInput(
            "no_columns",
            f"{place.name} is no table of decisions: --features, --action, --reward, --propensity, --time, "
            "--unit, --context, --ignore, --interactions and --bits are for CSV, Parquet or JSON lines",
        )


def readings(
    place: Readable,
    candidates: Sequence[Candidate],
    options: Options,
    stack: ExitStack,
    wanted: Wanted = ALL,
    period: Period = ALWAYS,
    progress: Advance = lambda count: None,
) -> Readings:
    """Read a log as each of the candidates reads it, and as models of the reward do; `stack` closes it in the end.

    `wanted` says what a person asks for; whether contexts are read, and in how many columns, candidates say too.
    """
    contexts = read_contexts(candidates, options)
    found = _readings(place, candidates, options, stack, wanted, period, progress, contexts=contexts)
    check_period(found.main, period, place.name)
    return found


def read_contexts(candidates: Sequence[Candidate], options: Options) -> bool:
    """Whether contexts must be read, for a candidate or for a model."""
    modelled = bool(MODELLED & set(options.methods)) or options.embedding is not None
    return modelled or any(each.reads_contexts for each in candidates)


def _readings(
    place: Readable,
    candidates: Sequence[Candidate],
    options: Options,
    stack: ExitStack,
    wanted: Wanted,
    period: Period,
    progress: Advance = lambda count: None,
    *,
    contexts: bool,
) -> Readings:
    named = place.is_named or wanted.naming.encoder is not None
    wanted, own, model = _with_own(place, candidates, options, replace(wanted, times=period != ALWAYS))
    wanted, law = _with_law(place, options, wanted)
    if wanted.dimension is not None and not named:
        raise InvalidInput("no_dimension", f"{place.name} has no named features: --dimension is for these")
    modelled = bool(MODELLED & set(options.methods)) or options.embedding is not None
    ways = [_columns(each, named and contexts, wanted.dimension) for each in candidates]
    first = ways[0] if ways else wanted.dimension
    main = (wanted.dimension or DIMENSION) if modelled and named and options.model != "mean" else first
    read_before: dict[int | None, Rows] = {}

    def as_read(columns: int | None) -> Rows:
        if columns not in read_before:
            as_columns = replace(wanted, contexts=contexts, dimension=columns)
            rows = read_before[columns] = stack.enter_context(place.rows(as_columns, progress))
            if law is not None:
                rows.law = law.beside.places(law.names(rows), law.start(rows), rows)
            if period != ALWAYS:
                keep_period(rows, period, place.name)
        return read_before[columns]

    def checked(rows: Rows) -> Rows:
        if wanted.segment is not None and rows.segments in ([], [""]):
            raise InvalidInput(
                "no_segment", f"{wanted.segment!r} stands in no row of {place.name}: name a column, key or feature"
            )
        if wanted.n_arms is not None and rows.problem.n_arms != wanted.n_arms:
            raise InvalidInput(
                "bad_arms",
                f"{place.name} says itself that it has {counted(rows.problem.n_arms, 'arm')}: leave out --arms "
                f"{wanted.n_arms}",
            )
        _check_features(place, candidates, rows)
        return rows

    return Readings(checked(as_read(main)), [as_read(way) for way in ways], own, model)


def _with_own(
    place: Readable, candidates: Sequence[Candidate], options: Options, wanted: Wanted
) -> tuple[Wanted, dict[str, ReadBeside], ReadBeside | None]:
    """Return what is wanted with the columns that a person's targets and model need, and where these will be."""
    reads_columns = options.model.startswith(OWN) or any(each.reads_columns for each in candidates)
    if reads_columns and not place.has_columns:  # before a file is opened that they name
        raise InvalidInput(
            "no_columns",
            f"{place.name} is no table of decisions: targets and models of columns are for CSV, Parquet, JSON lines "
            "and tables in memory",
        )
    brought = [(each.label, beside) for each in candidates if (beside := each.beside) is not None]
    besides = [beside for _, beside in brought]
    own = {label: ReadBeside(beside, i) for i, (label, beside) in enumerate(brought)}
    if not options.model.startswith(OWN):
        return replace(wanted, beside=tuple(besides)), own, None
    made = format_module("own_columns", f"the model {options.model}").Predictions(options.model.removeprefix(OWN))
    return replace(wanted, beside=(*besides, made)), own, ReadBeside(made, len(besides))


def _with_law(place: Readable, options: Options, wanted: Wanted) -> tuple[Wanted, ReadBeside | None]:
    """Return what is wanted with the probabilities of all actions, and of a table where they will be."""
    if options.law is None:
        return wanted, None
    if place.form == "dsjson" and options.law == "p":
        return replace(wanted, law=True), None
    if not place.has_columns:
        raise InvalidInput(
            "no_law",
            f"{place.name} has no columns: --law is for CSV, Parquet, JSON lines and tables in memory, and for dsjson, "
            "where it is p",
        )
    made = format_module("own_columns", "--law").LoggedLaw(options.law)
    return replace(wanted, beside=(*wanted.beside, made)), ReadBeside(made, len(wanted.beside))


def _check_features(place: Readable, candidates: Sequence[Candidate], rows: Rows) -> None:
    """Refuse candidates that decide by contexts where nobody said which of the columns are the context."""
    if not rows.unused or rows.problem.context_shape != (0,):
        return
    reading = [each.label for each in candidates if each.needs_contexts]
    if reading:
        raise InvalidInput(
            "no_features",
            f"{reading[0]} decides by the context, and {place.name} does not say which of its columns that is: choose "
            f"among {', '.join(map(repr, rows.unused))[:500]} by --features A,B,C, and leave out what is known only "
            "afterwards",
        )


def _columns(candidate: Candidate, named: bool, dimension: int | None) -> int | None:
    """Return to how many columns named features are hashed for a candidate; None for features as they are."""
    return dimension or (DIMENSION if named and candidate.needs_numbers else None)
