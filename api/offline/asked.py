"""What is asked of a log, and its answer: for the command line, and for Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...engine.errors import InvalidInput, counted
from ...engine.storage.bad_lines import BadLines
from ...engine.storage.period import ALWAYS, Period
from ...engine.storage.rows import Rows, Wanted
from ...engine.vocabulary import Array
from ..scheduling.scheduler import Scheduler, opened
from .candidate_kinds import Candidate
from .candidates import candidate, checked
from .embeddings import embedding_of
from .evaluation import Evaluation, concluded, evaluate, passes
from .judging import Facts
from .options import INTERVALS, LIST_METHODS, METHODS, Options, options_of
from .reading import ALL, Logged, Place, read
from .spread import check_actions, judge_in_parts

Bar = Callable[[str, int | None, str], AbstractContextManager[Callable[[int], None]]]  # what is done, how much, of what


@dataclass(frozen=True)
class Question:
    """What is asked of a log."""

    candidates: list[Candidate]
    options: Options
    wanted: Wanted = ALL
    period: Period = ALWAYS
    named_methods: bool = True  # whether a person named the methods: if not, those count that the log allows


class Answer(NamedTuple):
    """What was found, and how fast."""

    evaluation: Evaluation
    speed: float  # rows of each candidate a second: of the processor's time, and of the wall's where workers did it


def answer(
    place: Logged,
    question: Question,
    stack: ExitStack,
    bar: Bar,
    check: Callable[[BadLines], None] | None = None,
    scheduler: str | None = None,
) -> Answer:
    """Read a log, whose rows `stack` keeps, and judge the candidates on it; `check` may refuse its bad lines.

    A log in several files is judged in parts, by the scheduler of that name or by threads, and any other one where a
    scheduler is named. Raises `InvalidInput` where the scheduler cannot be handed what is asked.
    """
    files = place.in_files
    options = question.options
    whole = "mips" in options.methods or options.law is not None
    if files is None or (scheduler is None and (len(files.files) == 1 or whole)):
        began = time.process_time()
        found = _whole(place.here(stack), question, stack, bar, check)
        return _timed(found, time.process_time() - began)
    if scheduler is not None and (here := [each.label for each in question.candidates if not each.travels]):
        raise InvalidInput("whole_log", f"{here[0]} is read by this process alone: leave out --scheduler")
    if scheduler is not None and options.law is not None:
        raise InvalidInput("whole_log", "the law of the log is read by this process alone: leave out --scheduler")
    if scheduler is not None:
        check_actions(files, question.candidates, options, question.wanted, question.period)
    began = time.monotonic()
    found = _in_parts(files, question, stack.enter_context(opened(scheduler)), bar, check)
    return _timed(found, time.monotonic() - began)  # the processor's time of workers is theirs


def _timed(found: Evaluation, seconds: float) -> Answer:
    return Answer(found, found.events * len(found.candidates) / max(seconds, 1e-9))


def _whole(
    place: Logged, question: Question, stack: ExitStack, bar: Bar, check: Callable[[BadLines], None] | None
) -> Evaluation:
    candidates = question.candidates
    with bar("reading", place.size, place.counted) as advance:
        found = read(place, candidates, question.options, stack, question.wanted, question.period, advance)
    options = _options(question, found.main, lambda: found.facts, check)
    with bar("judging", len(found.main) * len(candidates) * passes(options), "rows") as advance:
        return evaluate(candidates, found, options, advance)


def _in_parts(
    place: Place, question: Question, scheduler: Scheduler, bar: Bar, check: Callable[[BadLines], None] | None
) -> Evaluation:
    candidates, options = question.candidates, question.options
    with bar("judging", len(place.files) * len(candidates), "files, once for each target") as advance:
        found = judge_in_parts(place, candidates, options, scheduler, question.wanted, question.period, advance)
    found.rows.notes.extend(place.notes)
    options = _options(question, found.rows, lambda: found.facts, check)
    return concluded(candidates, found.rows, found.facts, found.scored, options)


def question_of(
    place: Logged,
    candidates: Sequence[Candidate],
    wanted: Wanted,
    period: Period,
    *,
    methods: tuple[str, ...],
    usual: tuple[str, ...],
    embedding: str | Array | None,
    baseline: str | None,
    **asked: Any,
) -> Question:
    """Return what a person asks of a log, with the `usual` methods where none is named; `asked` is of `options_of`.

    An embedding is named, or is an array, int64[k]. Raises `InvalidInput` for what breaks a rule.
    """
    _check_known(methods, METHODS, "method")
    _check_known(asked["intervals"], INTERVALS, "interval")
    if not candidates:
        raise InvalidInput("no_target", "there is no target: name at least one")
    if isinstance(embedding, str):
        embedding = embedding_of(embedding, Path(place.name), place.form)
    compared, label = with_baseline([*candidates], baseline)
    options = options_of(methods=methods or usual, embedding=embedding, baseline=label, **asked)
    return Question(checked(compared), options, wanted, period, named_methods=bool(methods))


def _check_known(given: Sequence[str], known: Sequence[str], what: str) -> None:
    for each in given:
        if each in LIST_METHODS:
            raise InvalidInput(
                "no_lists",
                f"{each} is for logs of lists, which the command judges: `onearm evaluate FILE --target uniform "
                f"--method {each}`",
            )
        if each not in known:
            raise InvalidInput(f"unknown_{what}", f"there is no {what} {each!r}: there are {', '.join(known)}")


def _options(
    question: Question, rows: Rows, facts: Callable[[], Facts], check: Callable[[BadLines], None] | None
) -> Options:
    """Return what is asked of a log that was read, after a look at its bad lines."""
    if check is not None:
        check(rows.bad_lines)
    if question.named_methods:
        return question.options
    options, note = allowed(facts(), question.options)
    if note is not None:
        rows.notes.append(note)
    return options


def with_baseline(candidates: list[Candidate], baseline: str | None) -> tuple[list[Candidate], str | None]:
    """Return the candidates with the baseline among them, and the label of that."""
    if baseline is None:
        return candidates, None
    labels = [each.label for each in candidates]
    if baseline in labels:
        return candidates, baseline
    compared = candidate(baseline)
    there = next((each.label for each in candidates if each.spec == compared.spec), None)
    return (candidates, there) if there is not None else ([*candidates, compared], compared.label)


def allowed(facts: Facts, options: Options) -> tuple[Options, str | None]:
    """Return what is asked where nobody says, and what must be known of it: without propensities match alone."""
    unknown = int(np.isnan(facts.propensity).sum())
    if not unknown:
        return options, None
    of = f"{unknown:,} of {counted(len(facts.propensity), 'decision')}"
    note = f"the propensity of {of} is unknown: no snips, and match holds if the log was drawn uniformly"
    return replace(options, methods=("match",)), note
