"""A log that is judged in parts, wherever a scheduler has it done.

A candidate that stays what it is, as `logged`, `uniform` or a policy that learns nothing, is judged on each file alone:
all such candidates in one read of the file. One that learns goes through the files in their order, and so does a model
of the reward: such candidates are spread, and not the log. What a part found is joined in the order of the files and of
the candidates, so the result has the same bits whoever does the work, and however many do it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from ...engine.errors import InvalidInput
from ...engine.storage.period import ALWAYS, Period, check_period
from ...engine.storage.rows import Wanted
from ...engine.storage.source import STDIN
from ..scheduling.scheduler import Scheduler, in_blocks
from .candidate_kinds import ActionCandidate, Candidate
from .evaluation import Scored, score
from .joined import FileTold, Joined, join_facts, narrow, told_of
from .judging import Facts, Scores
from .models import started
from .options import MODELLED, Options
from .reading import Place, read_contexts, read_part

GROUPS = 2  # of candidates that learn, for each worker: each group reads the log once


@dataclass(frozen=True)
class Asked:
    """What is asked of a log, the same for all of its parts."""

    place: Place  # with one file, which stands for all of them
    options: Options
    wanted: Wanted
    period: Period
    contexts: bool  # whether they are read, and so checked, even where those judged in a part need none


@dataclass(frozen=True)
class Part:
    """What is judged together."""

    asked: Asked
    files: tuple[str, ...]
    number: int  # of the file; 0 of all files together
    candidates: tuple[Candidate, ...]
    logged: bool  # whether it tells what was logged


@dataclass(frozen=True)
class Judgement:
    """What was found in one part."""

    told: FileTold | None
    facts: Facts | None
    scored: list[Scored]
    drawn_as_logged: bool = False  # all decisions have rewards: what was drawn is what was logged


@dataclass(frozen=True)
class Judged:
    """What was found in all parts."""

    rows: Joined
    facts: Facts
    scored: list[Scored]  # of each candidate


def check_actions(
    place: Place, candidates: Sequence[Candidate], options: Options, wanted: Wanted, period: Period
) -> None:
    """Refuse actions that the first file does not have: workers may take long to start, and would find the same."""
    named = [each for each in candidates if isinstance(each, ActionCandidate)]
    if named and place.name != str(STDIN):
        with ExitStack() as stack:
            first = place.of(place.files[:1]).here(stack)
            log = read_part(first, named, options, stack, wanted, period, contexts=False)
            started(named, log, options)


def judge_in_parts(
    place: Place,
    candidates: Sequence[Candidate],
    options: Options,
    scheduler: Scheduler,
    wanted: Wanted,
    period: Period = ALWAYS,
    done: Callable[[int], None] = lambda candidates_and_files: None,
) -> Judged:
    """Let candidates go through a log; `done` is told of pairs of a candidate and a file that are through.

    Raises `InvalidInput` for the method `mips`, which looks at the contexts of all rows at once.
    """
    if "mips" in options.methods:
        raise InvalidInput("whole_log", "mips looks at all rows at once, in this process: leave out --scheduler")
    if place.name == str(STDIN):
        raise InvalidInput(
            "no_file", "standard input is read once, by this process: name a file, or leave out --scheduler"
        )
    alone = not MODELLED & set(options.methods)
    staying = [i for i, each in enumerate(candidates) if alone and each.stays(options.learn)]
    learning = [i for i in range(len(candidates)) if i not in staying]
    files = place.absolute.files
    asked = Asked(place.of(files[:1]), options, wanted, period, read_contexts(candidates, options))
    size = max(1, -(-len(learning) // (GROUPS * scheduler.workers)))
    groups = [learning[start : start + size] for start in range(0, len(learning), size)]
    parts = [Part(asked, (file,), i, tuple(candidates[j] for j in staying), True) for i, file in enumerate(files)]
    wholes = [Part(asked, files, 0, tuple(candidates[j] for j in group), False) for group in groups]
    blocks = [*([whole] for whole in wholes), *in_blocks(parts, scheduler.workers)]  # the longest first

    def heard(i: int) -> None:
        done(sum(len(part.files) * len(part.candidates) for part in blocks[i]))

    found = [each for block in scheduler.map(judge_parts, blocks, heard) for each in block]
    by_group, by_file = found[: len(wholes)], found[len(wholes) :]
    told = [_with_drawn(each) for each in by_file]
    rows = Joined(told)
    check_period(rows, period, place.name)
    facts = join_facts(rows, told, [each.facts for each in by_file if each.facts is not None])
    scored: dict[int, Scored] = {i: _joined([each.scored[at] for each in by_file]) for at, i in enumerate(staying)}
    for group, judgement in zip(groups, by_group, strict=True):
        scored |= dict(zip(group, judgement.scored, strict=True))
    return Judged(rows, facts, [scored[i] for i in range(len(candidates))])


def judge_parts(parts: Sequence[Part]) -> list[Judgement]:
    """Judge one part after another."""
    return [judge_part(part) for part in parts]


def judge_part(part: Part) -> Judgement:
    """Read the files of a part, and let its candidates go through them."""
    asked = part.asked
    candidates = part.candidates
    with ExitStack() as stack:
        place = asked.place.of(part.files).here(stack)
        log = read_part(place, candidates, asked.options, stack, asked.wanted, asked.period, contexts=asked.contexts)
        empty = not len(log.main)
        scored = [_nothing() for _ in candidates] if empty else score(candidates, log, asked.options, part=part.number)
        if not part.logged:
            return Judgement(None, None, scored)
        told, facts = told_of(log.main, part.files[0]), log.facts
        as_logged = told.drawn is not None and all(
            np.array_equal(drawn, logged, equal_nan=logged.dtype.kind == "f")
            for drawn, logged in zip(told.drawn, (facts.action, facts.propensity), strict=True)
        )
        return Judgement(
            replace(told, drawn=None) if as_logged else told,
            replace(facts, action=narrow(facts.action), choices=narrow(facts.choices), segment=narrow(facts.segment)),
            [each._replace(plain=replace(each.plain, chosen=narrow(each.plain.chosen))) for each in scored],
            as_logged,
        )


def _with_drawn(judgement: Judgement) -> FileTold:
    told, facts = judgement.told, judgement.facts
    assert told is not None and facts is not None, "a file that tells nothing"
    return replace(told, drawn=(facts.action, facts.propensity)) if judgement.drawn_as_logged else told


def _joined(each: Sequence[Scored]) -> Scored:
    """Return what a candidate that stays what it is makes of all files."""
    chosen, *others = zip(*(vars(one.plain).values() for one in each), strict=True)
    plain = Scores(np.concatenate(chosen, dtype=np.int64), *map(np.concatenate, others))
    return Scored(plain, None, None, None, [])


def _nothing() -> Scored:
    """Return what a candidate makes of no row."""
    none = np.zeros(0)
    return Scored(Scores(np.zeros(0, np.int64), none, none, none), None, None, None, [])
