"""Logs are replayed to the same state: exported ones, in pages, and where they differ the row is named."""

from __future__ import annotations

import copy
import importlib
from pathlib import Path

import golden
import numpy as np
import pytest
from support.interfaces import OF_VECTORS, SEED, TRIALS, WORLDS, Run

from onearm.api.kinds.vectors.feedback import FeedbackBody, feedback_on
from onearm.engine import loop, snapshot
from onearm.engine.columns import empty, every_mask, rewarded, take
from onearm.engine.domain import ball, box, product, simplex
from onearm.engine.replay.matching import match
from onearm.engine.vocabulary import DECIDE, Array, Columns, Problem

pytestmark = pytest.mark.usefixtures("few_cosines", "coarse_quadrature", "witness_in_the_catalogue")


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize(
    ("name", "world", "steps"),
    [("witness", "squall", 40), ("witness", "actions", 40), ("witness", "named", 40), ("early_drop", "stream", TRIALS)]
    + [(name, world, 40) for name, world in OF_VECTORS],
)
def test_a_log_that_was_exported_is_replayed_to_the_same_state(
    form: str, name: str, world: str, steps: int, tmp_path: Path
) -> None:
    run = Run(name, WORLDS[world], steps)
    module = importlib.import_module(f"onearm.engine.storage.formats.{form}")
    with module.Writer(tmp_path / "log", run.problem, {}) as out:
        out.write(run.log)
    read = module.read(tmp_path / "log")
    assert read.problem == run.problem
    state = run.fresh()
    assert loop.replay(run.policy.params, state, run.key, read.events) == -1
    assert snapshot.digest(state) == run.digest


@pytest.mark.parametrize("world", ["actions", "named"])
def test_a_policy_can_be_matched_with_a_log_of_features_of_actions(world: str) -> None:
    """Uniform takes each available action with the same probability, and draws by the row's number."""
    run = Run("uniform", WORLDS[world], 30)
    rows = rewarded(run.log)
    found = match(golden.specimen("uniform"), run.problem, rows, seed=SEED)
    available = every_mask(rows)
    np.testing.assert_array_equal(found.target, 1.0 / available.sum(axis=1))


@pytest.mark.parametrize("column", ["action", "propensity"])
def test_a_decision_that_differs_is_named_by_replay(column: str) -> None:
    run = Run("exp3_ix", WORLDS["squall"], 50)
    log = copy.deepcopy(run.log)
    row = int(np.flatnonzero(log.kind == DECIDE)[20])
    changed: Array = getattr(log, column)
    if column == "action":
        changed[row] = (changed[row] + 1) % run.problem.n_arms
    else:
        changed[row] = np.nextafter(changed[row], 1.0)
    assert loop.replay(run.policy.params, run.fresh(), run.key, log) == row


def test_a_log_can_be_replayed_in_pages() -> None:
    run = Run("ucb1", WORLDS["squall"], 60)
    state = run.fresh()
    for start in range(0, len(run.log.kind), 17):
        page: Columns = take(run.log, slice(start, start + 17))
        assert loop.replay(run.policy.params, state, run.key, page) == -1
    assert loop.replay(run.policy.params, state, run.key, empty(0, run.problem)) == -1
    assert snapshot.digest(state) == run.digest


def test_what_is_added_up_outside_of_kernels_has_the_same_bits_on_every_python() -> None:
    """`sum` compensates from Python 3.12 on; what it gave would differ there in the last bit."""
    wide = box([-0.1] * 10, [0.3] * 10)
    assert wide.diameter.hex() == "0x1.43d1362484910p+0"
    many = product(*(ball(1, 0.1 * radius) for radius in range(1, 26)), simplex(3, 0.7))
    assert (many.diameter.hex(), many.reach.hex()) == ("0x1.dcc48d8077c4cp+3", "0x1.dd1e53848c1b2p+2")
    problem = Problem(0, domain=wide, feedback="losses")
    assert feedback_on(problem, np.full(10, 0.1), FeedbackBody(losses=[-1.0] * 10)).reward == 0.9999999999999999
