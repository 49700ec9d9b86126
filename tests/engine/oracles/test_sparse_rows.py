"""Sparse rows: the exact regression beside NumPy's, when it gives up, and what the rule has learned by then."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from test_second_order import ALL, PROBLEM, one_row, stream

from onearm.engine.features import Encoder
from onearm.engine.oracles.compared import compared_words
from onearm.engine.oracles.few_slots import COORDINATES, FewSlots, few_slots
from onearm.engine.oracles.oracle import fit, predict, split, spread
from onearm.engine.oracles.sparse_rows import SparseRows, sparse_rows
from onearm.engine.protocol import decay
from onearm.engine.vocabulary import Array, Features, Problem

ENCODER = Encoder(bits=10)
BANNERS = [{"id": str(a)} for a in range(3)]


def visits(n: int, countries: int = 3) -> list[tuple[Features, int, float]]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n):
        country, action = int(rng.integers(countries)), int(rng.integers(3))
        shown = ENCODER.encode({"country": str(country)}, BANNERS)
        found.append((shown, action, float(rng.random() < 0.1 + 0.5 * (country % 3 == action))))
    return found


def scores_of(model: object, features: Features) -> Array:
    scores = np.full(3, np.nan)
    predict(model, features, ALL, scores)
    return scores


def widths_of(model: object, features: Features) -> Array:
    widths = np.full(3, np.nan)
    spread(model, features, ALL, widths)
    return widths


def dense(features: Features, action: int) -> Array:
    """Return the bias and the presence of each slot of an action; a shared one counts for 1 / 32 of a variance."""
    row = np.zeros(1 + 1024)
    row[0] = 1.0
    row[1 + features.index[features.start[0] : features.start[1]]] = np.sqrt(1 / 32)
    row[1 + features.index[features.start[action + 1] : features.start[action + 2]]] = 1.0
    return row


@pytest.mark.parametrize("regularisation", [0.3, 4.0])
def test_few_slots_are_a_ridge_regression(regularisation: float) -> None:
    rows = visits(80)
    model = few_slots(PROBLEM, regularisation=regularisation)
    for t, (features, action, reward) in enumerate(rows):
        fit(model, features, action, reward, 1.0 + t % 2)
    table = np.array([dense(features, action) for features, action, _ in rows])
    weight = np.array([1.0 + t % 2 for t in range(len(rows))])
    rewards = np.array([reward for _, _, reward in rows])
    gram = (table.T * weight) @ table + regularisation * np.eye(table.shape[1])
    theta, inverse = np.linalg.solve(gram, table.T @ (weight * rewards)), np.linalg.inv(gram)
    for features in (rows[0][0], ENCODER.encode({"country": "new"}, BANNERS)):
        wanted = [dense(features, a) for a in range(3)]
        np.testing.assert_allclose(scores_of(model, features), [row @ theta for row in wanted], atol=1e-10)
        np.testing.assert_allclose(widths_of(model, features), [np.sqrt(r @ inverse @ r) for r in wanted], rtol=1e-9)


def test_values_whose_distance_is_no_float_leave_few_slots_finite() -> None:
    """The boundary lets none through, but a world of one's own may have them."""
    model = few_slots(PROBLEM, regularisation=1.0)
    for t, value in enumerate((1.7e308, -1.7e308, 1.0, 1.7e308)):
        features = one_row({3: value})._replace(start=np.array([0, 0, 1, 1, 1]))
        fit(model, features, 0, float(t % 2), 1.0)
        assert np.isfinite(scores_of(model, features)).all()
        assert np.isfinite(widths_of(model, features)).all()
    assert all(np.isfinite(array).all() for array in model)


def test_few_slots_learn_numbers_whatever_their_unit_and_origin() -> None:
    """Beside NumPy on presence and on the distance from the first value in units of the largest, known at the end."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=60)
    y = 2 * x + 0.1 * rng.normal(size=60)
    found = []
    for factor, origin in ((1.0, 0.0), (1e6, 3e8), (-1e-6, 1.0)):
        model = few_slots(Problem(1, (1, 8), None, 2), regularisation=1.0)
        for value, reward in zip(factor * x + origin, y, strict=True):
            fit(model, one_row({0: 1.0, 3: float(value)}), 0, float(reward), 1.0)
        scores = np.zeros(1)
        predict(model, one_row({0: 1.0, 3: factor * 0.5 + origin}), np.ones(1, np.bool_), scores)
        found.append(float(scores[0]))
        assert model.used[0] == 4
    np.testing.assert_allclose(found, found[0], rtol=1e-6)
    place = (x - x[0]) / np.abs(x - x[0]).max()
    table = np.column_stack([np.ones((60, 3)), place])
    theta = np.linalg.solve(table.T @ table + np.eye(4), table.T @ y)
    at = (0.5 - x[0]) / np.abs(x - x[0]).max()
    assert found[0] == pytest.approx(float(theta @ [1, 1, 1, at]), rel=1e-9)


def test_it_is_exact_while_few_slots_came_and_then_what_the_rule_has_learned() -> None:
    rows = visits(130, countries=40)
    model = sparse_rows(PROBLEM, regularisation=1.0)
    few, many = few_slots(PROBLEM, regularisation=1.0), compared_words(PROBLEM)
    was_full = []
    for features, action, reward in rows:
        alone = many if model.few.full[0] else few
        assert scores_of(model, features).tolist() == scores_of(alone, features).tolist()
        assert widths_of(model, features).tolist() == widths_of(alone, features).tolist()
        was_full.append(bool(model.few.full[0]))
        for one in (model, few, many):
            fit(one, features, action, reward, 1.0)
    assert not was_full[10]
    assert was_full[-1]
    assert sorted(was_full) == was_full
    assert few.used[0] == COORDINATES


def test_parts_sum_to_the_prediction_before_and_after() -> None:
    for rows in (visits(40), visits(110, countries=40)):
        model = sparse_rows(PROBLEM)
        for features, action, reward in rows:
            fit(model, features, action, reward, 1.0)
        features = rows[0][0]
        parts = np.full(8, np.nan)
        assert split(model, features, 1, parts) == 3
        assert parts.sum() == pytest.approx(scores_of(model, features)[1], rel=1e-9)


def test_the_exact_regression_gives_up_where_old_feedbacks_are_forgotten() -> None:
    assert sparse_rows(PROBLEM, half_life=20.0).few.full[0]
    model = sparse_rows(PROBLEM)
    decay(model, np.inf)
    assert not model.few.full[0]
    decay(model, 20.0)
    assert model.few.full[0]
    assert model.many.keep[0] == pytest.approx(0.5 ** (1 / 20))


def test_a_hundred_thousand_rewards_leave_the_covariance_positive() -> None:
    model = few_slots(Problem(1, (1, 8), None, 3), regularisation=0.3)
    rng = np.random.default_rng(2)
    for _ in range(2000):
        fit(model, one_row({0: 1.0, 1: float(rng.normal(1e6, 1)), 2: 1.0}), 0, float(rng.random()), 50.0)
    used = int(model.used[0])
    assert (np.linalg.eigvalsh(model.covariance[:used, :used]) > 0).all()
    assert isinstance(model, FewSlots)


def test_words_that_are_not_compared_are_learned_as_by_the_version_before() -> None:
    """The digest is that of the version before; logs on record were made by it."""
    assert played(compared=False) == "f158a4c2ebcec90383258ada9e46f45807a9fdba0cf1beb85fb27d601c4dafd6"


def played(*, compared: bool = True) -> str:
    """Return the digest of all scores and widths of some decisions, and of the model after their rewards."""
    made = hashlib.sha256()
    later = stream(80)
    for half_life, rows in ((None, [*visits(60), *later]), (20.0, later)):
        model = sparse_rows(PROBLEM, half_life=half_life, compared=compared)
        for features, action, reward in rows:
            made.update(scores_of(model, features).tobytes() + widths_of(model, features).tobytes())
            fit(model, features, action, reward, 1.0)
        assert isinstance(model, SparseRows)
        kept = [array for name, array in model.many._asdict().items() if not name.startswith("scratch_")]
        for array in [*model.few, *kept]:
            made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()
