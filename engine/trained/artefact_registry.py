"""The artefacts that a process knows, by name and by the problem that they are for.

>>> artefacts = ArtefactRegistry(list)
>>> artefacts.find("mine")
Traceback (most recent call last):
onearm.engine.errors.InvalidInput: there is no artefact 'mine': there is none at all; give its file with --artefact FILE
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from ..errors import InvalidInput, as_seen
from ..task import Task
from ..vocabulary import Problem
from .artefact import Artefact

_GIVEN, _SHIPPED, _KEPT = range(3)  # in the order in which a name, or a problem, finds them


class ArtefactRegistry:
    """Artefacts: given by a person, shipped with the package (read once, when first asked for), or kept by a log.

    A name, or a problem, finds those that were given; if none of these fits, those that ship. What a log keeps is found
    by its full name, name@digits, alone: a newer version of the package brings newer ones.
    """

    def __init__(self, shipped: Callable[[], Iterable[Artefact]]) -> None:
        self._shipped = shipped
        self._read = False
        self._lock = threading.Lock()
        self._found: dict[str, tuple[int, Artefact]] = {}  # by sha256

    def add(self, artefact: Artefact) -> None:
        """Put an artefact that a person gave before all others."""
        self._put(artefact, _GIVEN)

    def keep(self, artefact: Artefact) -> None:
        """Put an artefact that a log holds: only its full name finds it."""
        self._put(artefact, _KEPT)

    @property
    def given(self) -> list[Artefact]:
        """Return those that a person gave."""
        with self._lock:
            return [artefact for rank, artefact in self._found.values() if rank == _GIVEN]

    def find(self, name: str) -> Artefact:
        """Return the artefact of that name, or of name@digits, at least 8 of its sha256."""
        plain, at, digits = name.partition("@")
        if at and not 8 <= len(digits) <= 64:
            raise InvalidInput(
                "bad_artefact_name", f"the artefact is {as_seen(name)}: after the @ come 8 to 64 digits of its sha256"
            )
        ranked = [
            (rank, artefact)
            for rank, artefact in self._all()
            if artefact.name == plain and (artefact.sha256.startswith(digits) if at else rank != _KEPT)
        ]
        if not ranked:
            raise InvalidInput(
                "unknown_artefact",
                f"there is no artefact {name!r}: {self._there()}; give its file with --artefact FILE",
            )
        return _only(ranked, f"several artefacts have the name {name!r}")

    def fitting(self, problem: Problem) -> Artefact:
        """Return the only artefact for a problem: of its queries, answers, loss and budget."""
        ranked = [(rank, a) for rank, a in self._all() if rank != _KEPT and misfit(a, problem) is None]
        if not ranked:
            raise InvalidInput(
                "no_artefact",
                f"no artefact is for {_shown(problem.task, problem.horizon)}: {self._there()}; change the problem, "
                "make one with `onearm train`, or give its file with --artefact FILE",
            )
        return _only(ranked, f"several artefacts are for {_shown(problem.task, problem.horizon)}")

    def check(self, artefact: Artefact, problem: Problem) -> None:
        """Refuse an artefact that is not for a problem, and name those that are."""
        if (why := misfit(artefact, problem)) is not None:
            others = [a.name for rank, a in self._all() if rank != _KEPT and misfit(a, problem) is None]
            instead = (
                f"take {' or '.join(others)}" if others else "no other artefact fits: make one with `onearm train`"
            )
            raise InvalidInput("artefact_does_not_fit", f"the artefact {artefact.name!r} {why}; {instead}")

    def _put(self, artefact: Artefact, rank: int) -> None:
        with self._lock:
            known, _ = self._found.get(artefact.sha256, (rank, artefact))
            self._found[artefact.sha256] = (min(known, rank), artefact)

    def _all(self) -> list[tuple[int, Artefact]]:
        if not self._read:
            for artefact in self._shipped():
                self._put(artefact, _SHIPPED)
            self._read = True
        with self._lock:
            return list(self._found.values())

    def _there(self) -> str:
        there = [f"{a.name} ({_shown(a.task, a.budget)})" for rank, a in self._all() if rank != _KEPT]
        return f"there are {', '.join(sorted(there))}" if there else "there is none at all"


def misfit(artefact: Artefact, problem: Problem) -> str | None:
    """Say what an artefact is for that a problem is not; None where it fits."""
    task, other = artefact.task, problem.task
    if other is None:
        return "is for queries within a budget, and this problem has none"
    differences = (
        ("is for the task {!r}, and this one is {!r}", task.kind, other.kind),
        ("is for {} queries, and this task has {}", task.n_queries, other.n_queries),
        ("is for answers that are {!r}, and here they are {!r}", task.answers, other.answers),
        ("is for the loss {!r}, and here it is {!r}", task.loss, other.loss),
        ("is for a budget of {} queries, and this problem has {}", artefact.budget, problem.horizon),
    )
    for words, mine, its in differences:
        if mine != its:
            return words.format(mine, "none" if its is None else its)
    return None if task.rows == other.rows else "is for another table of hypotheses"


def _only(ranked: list[tuple[int, Artefact]], several: str) -> Artefact:
    first = min(rank for rank, _ in ranked)
    best = [artefact for rank, artefact in ranked if rank == first]
    if len(best) > 1:
        labels = " or ".join(sorted(artefact.label for artefact in best))
        raise InvalidInput("several_artefacts", f"{several}: name one of them in full, {labels}")
    return best[0]


def _shown(task: Task | None, budget: int | None) -> str:
    if task is None:
        return "a problem without a task"
    what = {"arms": "arms", "thresholds": "points", "hypotheses": "queries"}[task.kind]
    return f"{task.n_queries} {what}, answers {task.answers}, loss {task.loss}, budget {budget}"
