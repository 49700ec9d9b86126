"""A second correction begins where the first one passed, and not where it began; what it makes is what the log says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.corrected import Correcting

from onearm.api.service import refold, rungs


class Folded:
    """Counts what is folded again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.events = 0
        self._fold = refold.fold
        monkeypatch.setattr(refold, "fold", self)

    def __call__(self, params: Any, state: Any, run: Any, columns: Any) -> None:
        self.events += len(columns.kind)
        self._fold(params, state, run, columns)

    def taken(self) -> int:
        """Return how many events were folded since this was asked last."""
        found, self.events = self.events, 0
        return found


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Correcting]:
    monkeypatch.setattr(rungs, "SHORT", 4)
    with Correcting(tmp_path) as served:
        assert served.create().status_code == 201
        yield served


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> Folded:
    return Folded(monkeypatch)


def corrected(served: Correcting, folded: Folded, name: str, value: float | None) -> int:
    """Correct a reward; return how many events were folded for that."""
    served.correct(name, value)
    served.follow()
    return folded.taken()


def test_a_second_correction_begins_where_the_first_one_passed(served: Correcting, folded: Folded) -> None:
    names = served.rewarded([i % 2 / 2 for i in range(64)])
    assert corrected(served, folded, names[0], 1.0) == 64
    assert corrected(served, folded, names[-2], 1.0) <= 8
    assert corrected(served, folded, names[40], None) <= 40
    assert corrected(served, folded, names[-2], 0.25) <= 8
    assert corrected(served, folded, names[1], 0.25) >= 60
    served.assert_right()


def test_a_rung_of_another_path_is_none_and_arms_that_join_are_in_what_goes_on(
    served: Correcting, folded: Folded
) -> None:
    names = served.rewarded([i % 2 / 2 for i in range(40)])
    corrected(served, folded, names[0], 1.0)
    assert served.post("/v1/experiments/e/arms", {"id": "d"}).status_code == 201
    names += served.rewarded([0.5] * 10)
    assert served.rollback(40).status_code == 200
    folded.taken()
    names += served.rewarded([0.25] * 10)
    assert corrected(served, folded, names[35], 0.75) <= 10 + 8  # what was set back is not on the path any more
    assert corrected(served, folded, names[5], 0.75) <= 20 + 10
    assert corrected(served, folded, names[-3], 0.75) <= 8
    served.assert_right()


def test_rungs_are_a_cache(served: Correcting, folded: Folded, monkeypatch: pytest.MonkeyPatch) -> None:
    names = served.rewarded([i % 2 / 2 for i in range(32)])
    corrected(served, folded, names[0], 1.0)
    served.restart()
    assert corrected(served, folded, names[-2], 1.0) == 32  # the snapshots do not know the first one
    monkeypatch.setattr(rungs, "BYTES_MAX", 0)
    corrected(served, folded, names[-2], 0.5)
    assert corrected(served, folded, names[-2], 0.25) == 32
    served.assert_right()
