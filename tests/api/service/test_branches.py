"""States that are set in a log, folded beside it: the log is read once, and each branch is as short as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.corrected import Correcting

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service.branches import Branches
from onearm.api.service.history import History
from onearm.api.service.paths import Paths, Setting, StateSet
from onearm.api.service.refold import Again
from onearm.engine.storage.corrections import Correction
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import LEARN, Columns


def paths_of(*sets: tuple[int, int, int]) -> Paths:
    """Return paths of policy 0 that is set at some seqs to some others, with the corrections up to a third."""
    paths = Paths()
    for at, to, corrected_to in sets:
        paths.add(at, StateSet(0, "rolled_back", (Setting(0, to, corrected_to),)))
    return paths


def test_what_is_set_back_beyond_a_rollback_is_what_was_there() -> None:
    paths = paths_of((100, 20, 100), (200, 150, 200), (300, 60, 300))
    assert paths.stretches(0, 99) == [(0, 99)]
    assert paths.stretches(0, 150) == [(0, 20), (100, 150)]
    assert paths.stretches(0, 299) == [(0, 20), (100, 150), (200, 299)]
    assert paths.stretches(0, 400) == [(0, 60), (300, 400)]
    assert paths.stretches(1, 400) == [(0, 400)]


def test_a_state_leads_on_where_it_is_on_the_path_and_knows_what_it_must() -> None:
    paths = paths_of((100, 20, 100), (200, 199, 150))
    late = Correction(150, 3, 120, 0, 1.0, 0.0)  # of what was learned at seq 120, known from seq 200 on
    new = Correction(210, 4, 205, 0, 1.0, 0.0)
    wanted = Setting(0, 250, 250)

    def leads(seq: int) -> bool:
        return paths.leads_on(wanted, seq, [late, new])

    assert [leads(seq) for seq in (0, 20, 21, 99)] == [True, True, False, False]
    assert [leads(seq) for seq in (100, 119, 120, 199)] == [True, True, False, False]
    assert [leads(seq) for seq in (200, 204, 205, 250)] == [True, True, False, False]


class Counting:
    """Counts what is read of a log, and what is learned on branches."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.read = self.again = 0
        columns, take = Store.columns, Again.take

        def read(store: Store, *given: Any, **named: Any) -> Iterator[Any]:
            for page in columns(store, *given, **named):
                self.read += len(page[0].kind)
                yield page

        def taken(again: Again, part: Any) -> None:
            self.again += int((part.kind == LEARN).sum()) if isinstance(part, Columns) else 0
            take(again, part)

        patched.setattr(Store, "columns", read)
        patched.setattr(Again, "take", taken)


def counted(served: Correcting) -> tuple[Counting, int]:
    """Return what `verify` reads and learns, and how many events there are."""
    with pytest.MonkeyPatch.context() as patched:
        counting = Counting(patched)
        (found,) = (one for one in verified(served.url) if one["id"] == "e")
    assert not has_fault(found), found
    return counting, int(found["events"])


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Correcting]:
    with Correcting(tmp_path) as served:
        served.create()
        yield served


def test_a_log_is_read_once_whatever_was_corrected(served: Correcting) -> None:
    names = served.rewarded(np.random.default_rng(3).random(100).tolist())
    for name in names[:12]:
        served.correct(name, 0.5)
        served.follow()
    assert len(served.sets()) == 12
    served.assert_right()
    counting, events = counted(served)
    assert counting.read <= events, "in one pass"


def test_what_was_corrected_lately_is_learned_again_from_there(served: Correcting) -> None:
    names = served.rewarded(np.random.default_rng(4).random(100).tolist())
    for name in (names[0], *names[-10:]):  # the first one is not learned again for each of the others
        served.correct(name, 0.5)
        served.follow()
    assert len(served.sets()) == 11
    served.assert_right()
    counting, _ = counted(served)
    assert 100 + 10 + 9 * 1 <= counting.again <= 100 + 10 * 10


def test_a_branch_leaves_the_fold_that_it_can_go_along_with_longest() -> None:
    paths = paths_of((100, 99, 100), (110, 109, 110), (120, 109, 120), (130, 104, 130))
    history: Any = History.__new__(History)
    history.paths = paths
    corrections = [Correction(95, 1, 4, 0, 1.0, 0.0), Correction(105, 50, 90, 0, 1.0, 0.0)]
    branches = Branches(None, history, corrections, 0, 200)  # type: ignore[arg-type]
    planned = {seq: (one.fork, one.source) for (seq, _), one in branches._planned.items()}
    first, second = (branches._planned[seq, 0] for seq in (100, 110))
    assert planned[100] == (3, None), "before what was corrected"
    assert planned[110] == (89, first), "the first correction is known there"
    assert planned[120] == (109, second), "as the state is that was set then"
    assert planned[130] == (104, second)
    assert branches.places == sorted({3, 89, 99, 104, 109})
