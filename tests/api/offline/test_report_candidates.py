"""The report of every kind of candidate: what made the log is `logged` alone, and the best one is in the headline."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

from onearm.api.offline.asked import Question, answer
from onearm.api.offline.candidate_kinds import Candidate, of_function
from onearm.api.offline.candidates import candidate
from onearm.api.offline.options import Options
from onearm.api.offline.own import Batch
from onearm.api.offline.reading import place_of
from onearm.api.offline.report.findings import find
from onearm.api.offline.report.words import verdict
from onearm.engine.vocabulary import Array

OFFERS = ("cup", "hat", "mug")


def always_mug(batch: Batch) -> Array:
    """Return a law that takes the last offer."""
    return np.tile([0.0, 0.0, 1.0], (len(batch), 1))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return a log drawn uniformly, in which the mug earns the most, and a law of columns that takes it."""
    rng = np.random.default_rng(4)
    offer = rng.integers(0, 3, 150)
    columns: dict[str, Any] = {
        "action": [OFFERS[place] for place in offer],
        "reward": (rng.random(150) < np.array([0.3, 0.2, 0.9])[offer]).astype(float),
        "propensity": [1 / 3] * 150,
        "chance": (offer == 2).astype(float),
        "place": np.where(offer == 2, 1, rng.integers(0, 2, 150)),
    }
    columns |= {f"p_{label}": [float(label == "mug")] * 150 for label in OFFERS}
    file = tmp_path / "log.csv"
    polars.DataFrame(columns).write_csv(file)
    polars.DataFrame({"place": [0, 1], "action": ["mug", "mug"], "probability": [1.0, 1.0]}).write_csv(
        tmp_path / "new.csv"
    )
    return file


BEST = [
    candidate(text)
    for text in ("action:mug", "action:2", "columns:p_*", "column:chance", "table:new.csv", "frequency:place", "ucb1")
]


@pytest.mark.parametrize("best", [*BEST, of_function(always_mug, "always_mug")], ids=lambda one: one.word)
def test_only_what_made_the_log_is_the_logs(best: Candidate, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(log.parent)
    asked = Question([candidate("logged"), candidate("action:0"), best], Options(("snips",)))
    with ExitStack() as stack:
        place = place_of(str(log), None, None)
        found = find(answer(place, asked, stack, lambda *what: nullcontext(lambda n: None)).evaluation)
        assert [row.label for row in found.rows if row.is_log] == ["logged"]
        assert [row.label for row in found.rows if not row.is_log] == [best.label, "action:0"]
        assert verdict(found)[0].startswith(f"{best.label} would have earned ")
