"""Classification of rows with named features: what is shown of them, and how often a class pays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from onearm.engine.contexts import context_at
from onearm.engine.errors import InvalidInput
from onearm.engine.features import Encoder
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, LEARN, Columns
from onearm.envs import catalog as envs
from onearm.envs.contexts import classification
from onearm.policies import catalog as policies

ROWS = [{"a": 1.5, "b": 0.0}, {"c": -2.0, "a": 1.0, "d": 0.25}, {}]
LABEL = [0, 1, 2]


def log_of(steps: int, **params: Any) -> Columns:
    env = envs.make("classification", **({"rows": ROWS, "label": LABEL, "shuffle": False} | params))
    return Simulation(policies.make("linear_greedy", epsilon=1.0), env, horizon=steps, seed=1).advance_logged(steps)


@pytest.mark.parametrize(("bits", "rows_at_once"), [(1, 2), (5, 1), (18, 1000)])
def test_what_is_shown_is_what_the_encoder_makes_of_it(
    bits: int, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classification, "ROWS_AT_ONCE", rows_at_once)
    log = log_of(6, bits=bits)
    decided = np.flatnonzero(log.kind == DECIDE)
    assert len(decided) == 6
    for t, row in enumerate(decided):
        found = context_at(log.context, row)
        wanted = Encoder(bits=bits).encode({"x": ROWS[t % 3]}, [{"id": str(a)} for a in range(3)])
        kept = slice(found.start[0], found.start[-1])
        assert (found.start - found.start[0]).tolist() == wanted.start.tolist()
        assert found.index[kept].tolist() == wanted.index.tolist()
        np.testing.assert_allclose(found.value[kept], wanted.value, rtol=1e-13)


def test_the_right_class_pays_and_no_other() -> None:
    log = log_of(60)
    decided = log.reward[np.isfinite(log.reward)]
    assert set(decided.tolist()) == {0.0, 1.0}


def test_a_class_pays_as_often_as_is_said() -> None:
    rows, label = [{"a": 1.0}, {"b": 1.0}], [0, 1]
    env = envs.make("classification", rows=rows, label=label, shuffle=False, clicks=[0.1, 0.7])
    log = Simulation(policies.make("uniform"), env, horizon=4000, seed=2).advance_logged(4000)
    chosen, paid = log.action[log.kind == DECIDE], log.reward[log.kind == LEARN]
    right = chosen == np.arange(4000) % 2
    assert paid[right].mean() == pytest.approx(0.7, abs=0.04)
    assert paid[~right].mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"rows": [[1.0], {}, {}]}, "row 0 is no object of names and numbers"),
        ({"rows": [{"a": "b"}, {}, {}]}, "row 0 holds a value that is no number"),
        ({"rows": [{}, {"a": float("inf")}, {}]}, "row 1 holds a number that is not finite"),
        ({"label": [0, 1]}, "it must be 3 whole numbers"),
        ({"bits": 27}, "bits is 27"),
        ({"clicks": [0.5, 0.4]}, "the second of clicks is 0.4"),
        ({"clicks": [0.5]}, "two probabilities"),
        ({"features": [[1.0]]}, "both features and rows"),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        envs.make("classification", **({"rows": ROWS, "label": LABEL} | changed))


def test_ner_has_the_words_that_it_says() -> None:
    env = envs.make("classification", dataset="ner")
    assert (env.problem.n_arms, env.problem.horizon, env.problem.context_kind) == (9, 1888, "named")
    assert env.spec["name"] == "classification"
    assert np.bincount(env.params.label).argmax() == 1
