"""States kept of a log that is being folded: few, nearer together towards its end, and as good as any others."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from support.corrected import Correcting

from onearm.api.cli.verify import has_fault, verified
from onearm.api.service import checkpoints, ladder
from onearm.api.service.ladder import thinned
from onearm.api.service.paths import Paths, Setting, StateSet
from onearm.engine.storage.corrections import Correction


@pytest.mark.parametrize("n", [10, 1000, 20_000])
def test_a_ladder_is_short_and_a_way_back_at_most_doubled(n: int) -> None:
    kept: list[int] = []
    for seq in range(n):
        kept = thinned([*kept, seq], seq)
        assert len(kept) <= 2 * math.log2(seq + 2) + 3
    assert kept[0] == 0
    for sought in range(0, n, max(1, n // 100)):
        nearest = max(seq for seq in kept if seq <= sought)
        assert n - 1 - nearest <= 2 * (n - 1 - sought) + 2


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


def test_verify_folds_old_corrections_from_states_that_it_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 5)
    folded: list[int] = []
    gone_on = ladder.gone_on

    def counted(log: Any, history: Any, setting: Setting, begun: Any, corrections: Any) -> Any:
        folded.append(setting.to - begun.seq)
        return gone_on(log, history, setting, begun, corrections)

    monkeypatch.setattr(ladder, "gone_on", counted)
    with Correcting(tmp_path) as served:
        served.create()
        names = served.rewarded([1.0, 0.0] * 60)
        for name in (names[-2], names[-20], names[3]):
            served.correct(name, 0.5)
            served.follow()
        assert not any(map(has_fault, verified(served.url)))
        assert folded[0] < 20
        assert folded[1] < 2 * 40 + 20
        assert folded[2] > 200
