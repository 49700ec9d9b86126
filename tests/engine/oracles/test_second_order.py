"""The second-order oracle: steps by hand, units and origins that do not matter, and what it learns of words."""

from __future__ import annotations

import math
from hashlib import sha256
from typing import Any

import numpy as np
import pytest

from onearm.engine.features import Encoder
from onearm.engine.oracles import by_parts
from onearm.engine.oracles.compared import Compared, compared_words
from onearm.engine.oracles.oracle import fit, predict, split, spread
from onearm.engine.oracles.second_order import BIAS, CENTRED, COUNT, KIND, SIZED, SecondOrder, second_order
from onearm.engine.protocol import row_of
from onearm.engine.vocabulary import Array, Features, Problem

PROBLEM = Problem(3, (3, 1024), None, 100)
ALL = np.ones(3, np.bool_)
WORD, FAR_WORD, NUMBER = 0.0, 1.0, 2.0  # kinds
Learned = tuple[Features, int, float]
IN_PARTS = "a7b2e4cbbd822572948fa2383d35c19e2880d455898a4a5114e1f82dba0dc382"


def stream(n: int, seed: int = 0) -> list[Learned]:
    """Return contexts, actions and rewards: strings and numbers, shared and of actions, some not always there."""
    rng = np.random.default_rng(seed)
    encoder = Encoder(bits=10)
    found = []
    for _ in range(n):
        shared: dict[str, Any] = {"u": {"city": rng.choice(["a", "b", "c"]), "age": float(rng.normal(1000, 3))}}
        if rng.random() < 0.5:
            shared["x"] = rng.normal(size=2).tolist()
        actions = [{"id": str(a), "price": float(rng.integers(3)) + 1e-3} for a in range(3)]
        action = int(rng.integers(3))
        pays = 5.0 + 0.3 * (shared["u"]["age"] - 1000) * (action == 1) + (shared["u"]["city"] == "b")
        found.append((encoder.encode(shared, actions), action, float(pays + rng.normal() / 9)))
    return found


def scores_of(model: Compared | SecondOrder, features: Features) -> Array:
    scores = np.full(3, np.nan)
    predict(model, features, ALL, scores)
    return scores


def learned(rows: list[Learned], half_life: float | None = None) -> tuple[Compared | SecondOrder, Array]:
    model = compared_words(PROBLEM, half_life=half_life)
    scores = []
    for features, action, reward in rows:
        scores.append(scores_of(model, features))
        fit(model, features, action, reward, 1.0)
    return model, np.array(scores)


def one_row(values: dict[int, float]) -> Features:
    """Return what one action has in an empty context, by slot."""
    slots = sorted(values)
    return Features(np.array([0, 0, len(slots)]), np.array(slots, np.uint32), np.array([values[i] for i in slots]))


def test_the_first_steps_are_as_worked_by_hand() -> None:
    """One feature that never changes, f; rewards 0 and 1.

    The first reward is the bias, and is predicted: no weight moves. The norm is 1 + 1, so r = .2, and v = 1 + 1. What
    is known of the bias and of f: 1 / (.2 + .1 (2 - 1)) = 1 / .3 each. Then the range is 1: the bias moves by half of
    that times its variance s = 1 / (1 + 1 / .3), and the reward is 1 - s / 2 above the prediction. Each weight moves by
    s (1 - s / 2) / (.2 + 2 s).
    """
    row = one_row({3: 0.1})
    model = compared_words(Problem(1, (1, 8), None, 1))
    assert fit(model, row, 0, 0.0, 1.0) == 0.0
    assert model.total[BIAS] == 0.0
    s = 1.0 / (1.0 + 1.0 / 0.3)
    assert fit(model, row, 0, 1.0, 1.0) == 1.0
    step = s * (1.0 - s / 2) / (0.2 + 2 * s)
    assert model.weight[3].tolist() == [pytest.approx(step, rel=1e-6), 0.0]
    assert model.total[BIAS] == pytest.approx(s / 2 + step, rel=1e-6)


def test_a_row_of_four_words_is_scaled_to_the_mean_as_worked_by_hand() -> None:
    """Words without weights: squared sizes sum to 1, and to 4 in the second row.

    The mean of both is 2.5, so the second row's words count sqrt(2.5 / 4) each as it is learned, and each weight moves
    by that times the step. A row of one word is below the mean and counts as it is.
    """
    model = compared_words(Problem(1, (1, 8), None, 4))
    fit(model, one_row({0: 1.0}), 0, 0.0, 1.0)
    fit(model, one_row({1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0}), 0, 1.0, 1.0)
    scale = math.sqrt(2.5 / 4)
    noise = 0.1 * (2 + 5) / 2
    bias = 1.0 / (1.0 + 1.0 / (0.2 + 0.1))
    step = (1.0 - bias / 2) / (noise + bias + 4 * scale**2)
    assert model.weight[1:5, SIZED].tolist() == [pytest.approx(step * scale, rel=1e-6)] * 4
    scores = np.zeros(1)
    for values, by in (({1: 1.0}, 1.0), ({1: 1.0, 2: 1.0, 3: 1.0, 4: 1.0}, 4 * scale)):
        predict(model, one_row(values), np.ones(1, np.bool_), scores)
        assert scores[0] == pytest.approx(model.total[BIAS] + by * step * scale, rel=1e-6)


def text(words: list[str], k: int = 2) -> Features:
    return Encoder(bits=10).encode({"text": words}, [{"id": str(a)} for a in range(k)])


def test_what_speaks_against_one_action_speaks_for_the_others() -> None:
    """With one word action 1 fails, with another it does not. Nobody tried action 0 with either of them."""
    lead = {}
    for compared in (True, False):
        model = (compared_words if compared else second_order)(Problem(2, (2, 1024), None, 20))
        for t in range(20):
            word, reward = ("bad", 0.0) if t % 2 else ("good", 1.0)
            fit(model, text([word]), 1, reward, 1.0)
        bad, good = np.zeros(2), np.zeros(2)
        predict(model, text(["bad"]), np.ones(2, np.bool_), bad)
        predict(model, text(["good"]), np.ones(2, np.bool_), good)
        assert bad[1] < bad[0] and good[1] > good[0]
        lead[compared] = float(bad[0] - good[0])
    assert lead[True] > 0.3
    assert lead[False] <= 0.0


def test_of_a_single_action_nothing_is_taken_away() -> None:
    model = compared_words(Problem(1, (1, 1024), None, 20))
    for t in range(20):
        fit(model, text(["bad" if t % 2 else "good"], 1), 0, float(t % 2 == 0), 1.0)
    scores = np.zeros(1)
    predict(model, text(["good"], 1), np.ones(1, np.bool_), scores)
    assert scores[0] > 0.9
    assert by_parts.bias(model, text(["good"], 1)) == model.total[BIAS]


def test_what_is_taken_away_changes_no_ranking_and_no_sum() -> None:
    """All predictions lack the mean of what words add: the bias of a call, which its parts name, has that."""
    model = compared_words(Problem(2, (2, 1024), None, 200))
    rng = np.random.default_rng(6)
    for t in range(60):
        topic = int(rng.integers(2))
        words = [f"w{word}" for word in rng.integers(50, size=9) + 10 * topic]
        fit(model, text(words), t % 2, float(t % 2 == topic), 1.0)
    features = text([f"w{word}" for word in range(40, 60)])
    own, scores = [], np.zeros(2)
    for action in range(2):
        parts = np.zeros(200)
        place = split(model, features, action, parts)
        predict(model, features, np.arange(2) == action, scores)
        assert scores[action] == pytest.approx(parts.sum(), abs=1e-12)
        words = slice(features.start[action + 1], features.start[action + 2])
        often = model.seen[features.index[words], COUNT] == model.seen[features.index[words], COUNT].max()
        own.append(parts[features.start[1] : place][~often].sum())
        bias = parts[place]
    assert bias == pytest.approx(model.total[BIAS] - np.mean(own), abs=1e-12)


def test_words_and_numbers_are_told_apart() -> None:
    """The id comes always and never changes, the number always, the words half the time, one of them far from 0."""
    rng = np.random.default_rng(1)
    model = compared_words(Problem(1, (1, 8), None, 4))
    for t in range(60):
        values = {0: 1.0, 1: float(rng.normal(50, 9))}
        if t % 2:
            values |= {2: float(rng.uniform(0.03, 0.1)), 3: float(rng.normal(1000, 3))}
        fit(model, one_row(values), 0, float(rng.random()), 1.0)
    assert model.seen[:4, KIND].tolist() == [WORD, NUMBER, WORD, FAR_WORD]
    assert model.weight[1, SIZED] == model.weight[2, CENTRED] == 0.0
    assert (model.weight[3] != 0.0).all()
    assert model.seen[:4, COUNT].tolist() == [60, 60, 30, 30]


def test_units_and_origins_of_numbers_and_rewards_do_not_matter() -> None:
    """Numbers that are always there are moved and scaled each as it likes, rewards as well; words as a whole."""
    rng = np.random.default_rng(2)
    plain: list[Learned] = []
    moved: list[Learned] = []
    for _ in range(120):
        x, words = rng.normal(size=2), (rng.random(3) < 0.5) * rng.uniform(0.5, 2.0, 3)
        there = [i for i in range(3) if words[i]]
        reward = float(x[0] + (words[0] > 0) + 0.1 * rng.normal())
        for found, numbers, unit, pays in (
            (plain, x, 1.0, reward),
            (moved, [8 * x[0] + 4096, x[1] / 1024 - 2], 32.0, 1000 * reward - 7),
        ):
            values = {0: unit, 1: numbers[0], 2: numbers[1], **{3 + i: unit * words[i] for i in there}}
            one = one_row(values)
            found.append((one._replace(start=np.array([0, 0, *[len(one.index)] * 3])), 0, float(pays)))
    _, wanted = learned(plain)
    _, found_scores = learned(moved)
    np.testing.assert_allclose((found_scores[1:, 0] + 7) / 1000, wanted[1:, 0], rtol=0, atol=5e-3)
    rewards = np.array([reward for _, _, reward in plain])
    assert np.mean((wanted[60:, 0] - rewards[60:]) ** 2) < 0.3 * rewards[60:].var()


def test_a_word_in_one_text_of_two_topics_is_learned_from_its_presence() -> None:
    """Weights say nothing here: rewards follow from whether the word is there."""
    rng = np.random.default_rng(3)
    model = compared_words(Problem(1, (1, 64), None, 40))
    late = []
    for t in range(400):
        there = np.flatnonzero(rng.random(40) < 0.5)
        reward = float(0 in there)
        row = one_row({int(i): float(rng.uniform(0.03, 0.1)) for i in there})
        error = fit(model, row, 0, reward, 1.0)
        late += [error**2] if t >= 300 else []
    assert np.mean(late) < 0.05


def test_a_large_number_beside_words_leaves_them_as_they_are() -> None:
    """A price of a million is among them now and then: the unit of the words hardly moves."""
    rng = np.random.default_rng(4)
    errors = {}
    for price in (0.0, 1e6):
        rng = np.random.default_rng(4)
        model = compared_words(Problem(1, (1, 64), None, 40))
        late = []
        for t in range(300):
            there = np.flatnonzero(rng.random(30) < 0.5)
            values = {int(i): float(rng.uniform(0.03, 0.1)) for i in there}
            sometimes = rng.random() < 0.5
            if price and sometimes:
                values[50] = price * float(rng.uniform(1, 2))
            error = fit(model, one_row(values), 0, float(0 in there), 1.0)
            late += [error**2] if t >= 200 else []
        errors[price] = float(np.mean(late))
    assert errors[1e6] < 2 * errors[0.0]


def test_parts_sum_to_the_prediction_and_name_every_entry() -> None:
    model, _ = learned(stream(60))
    features, _, _ = stream(1, seed=5)[0]
    for action in range(3):
        m = int(features.start[1] + features.start[action + 2] - features.start[action + 1])
        parts = np.full(m + 4, np.nan)
        split(model, features, action, parts)
        assert parts.sum() == pytest.approx(scores_of(model, features)[action], rel=1e-12)
        assert parts[m + 1 :].tolist() == [0.0] * 3


def test_widths_shrink_with_what_was_seen() -> None:
    rows = stream(100)
    model, _ = learned(rows)
    before, after = np.full(3, np.nan), np.full(3, np.nan)
    spread(compared_words(PROBLEM), rows[0][0], ALL, before)
    spread(model, rows[0][0], ALL, after)
    assert (after < 0.5 * before).all()
    assert (after > 0).all()


def test_only_slots_of_the_features_at_hand_are_written() -> None:
    features, action, reward = stream(1)[0]
    model = compared_words(PROBLEM)
    for one in (reward, reward + 1):
        fit(model, features, action, one, 1.0)
    rows = [slice(features.start[row], features.start[row + 1]) for row in (0, action + 1)]
    there = np.unique(np.concatenate([features.index[row] for row in rows]))
    assert np.flatnonzero(model.seen.any(axis=1)).tolist() == there.tolist()
    assert set(np.flatnonzero(model.weight.any(axis=1))) <= set(there)


def test_a_half_life_lets_it_follow_a_change() -> None:
    errors, rows = [], stream(450)
    for half_life in (None, 30.0):
        model = compared_words(PROBLEM, half_life=half_life)
        error = 0.0
        for t, (features, action, _) in enumerate(rows):
            reward = float((action == 1) == (t < 300))
            if t >= 350:
                error += (scores_of(model, features)[action] - reward) ** 2
            fit(model, features, action, reward, 1.0)
        errors.append(error)
    assert errors[1] < 0.8 * errors[0]
    assert model.seen[:, COUNT].max() <= 1 / (1 - 0.5 ** (1 / 30)) + 1e-3


@pytest.mark.parametrize(("size", "most"), [(1e-90, 1e15), (1e9, 1e15), (1e99, 1e15), (1e9, 1e45)])
def test_wild_rewards_and_values_leave_finite_numbers(size: float, most: float) -> None:
    """A product of three features is up to 1e45, which no float32 holds."""
    model = compared_words(PROBLEM, half_life=5.0)
    for t, (features, action, reward) in enumerate(stream(60)):
        value = features.value * (most if t % 7 == 0 else 1e-15 if t % 5 == 0 else 1.0)
        wild = features._replace(value=value)
        fit(model, wild, action, size * (reward if t % 4 else 0.0), 1.0 if t % 3 else 1e-6)
        widths = np.zeros(3)
        spread(model, wild, ALL, widths)
        assert np.isfinite(scores_of(model, wild)).all()
        assert np.isfinite(widths).all()
    for array in model:
        assert np.isfinite(array).all()


def long_rows(n: int) -> list[Learned]:
    """Return contexts of up to 150 features in a row, of which some are shared and an action's own as well."""
    rng = np.random.default_rng(9)
    found = []
    for t in range(n):
        slots = [np.sort(rng.choice(256, rng.integers(1, 150), replace=False)) for _ in range(2)]
        values = [np.where(one % 3 == 0, 1.0, rng.integers(1, 9, len(one)) / 4.0 - (one % 5 == 0)) for one in slots]
        start = np.cumsum([0, len(slots[0]), len(slots[1])])
        features = Features(start, np.concatenate(slots).astype(np.uint32), np.concatenate(values))
        found.append((features, 0, float(rng.integers(5)) / 4.0 + float(slots[0][0] < 4) - float(t % 7 == 0)))
    return found


def test_rows_that_are_learned_in_parts_have_the_bits_of_one_feature_after_another() -> None:
    """The digest is what the rule wrote when it went through a row feature by feature, five times."""
    model = second_order(Problem(1, (1, 256), None, 300), half_life=50.0)
    errors = [fit(model, features, action, reward, 1.0) for features, action, reward in long_rows(40)]
    kept = [model.weight, model.seen, model.total, np.array(errors)]
    assert sha256(b"".join(array.tobytes() for array in kept)).hexdigest() == IN_PARTS


def beside_zeros(n: int, zeros: int) -> list[Learned]:
    """Return contexts whose three rows hold up to 120 features, one that is always there, and so many that are 0."""
    rng = np.random.default_rng(4)
    found = []
    for t in range(n):
        start, slots, values = [0], [], []
        for row in range(3):
            own = np.sort(rng.choice(np.arange(1, 200), rng.integers(60, 120), replace=False))
            slots.append(1000 * row + np.concatenate([[0], own, 200 + np.arange(zeros)]))
            values.append(np.concatenate([[1.0], rng.integers(1, 9, len(own)) / 4.0, np.zeros(zeros)]))
            start.append(start[-1] + len(slots[-1]))
        features = Features(np.array(start), np.concatenate(slots).astype(np.uint32), np.concatenate(values))
        found.append((features, t % 2, float(rng.integers(5)) / 4.0))
    return found


def test_rows_that_are_brought_twice_are_learned_as_those_that_are_held() -> None:
    """A row of more than 128 features is not held from one step to the next: here by zeros, which say nothing."""
    learned_from, both = [], np.ones(2, np.bool_)
    for zeros in (0, 90):
        model, found = compared_words(Problem(2, (2, 4096), None, 700), half_life=50.0), []
        for features, action, reward in beside_zeros(10, zeros):
            scores, widths = np.zeros(2), np.zeros(2)
            predict(model, features, both, scores)
            spread(model, features, both, widths)
            error = fit(model, features, action, reward, 1.0)
            assert error == pytest.approx(reward - scores[action], abs=1e-12)
            found.append([error, *scores, *widths])
        learned_from.append((found, model.weight[model.weight != 0.0].tolist(), model.total.tolist()))
    assert learned_from[0] == learned_from[1]


def test_models_can_be_stacked() -> None:
    one, other = compared_words(PROBLEM), compared_words(PROBLEM)
    both = type(one)(*(np.stack(arrays) for arrays in zip(one, other, strict=True)))
    for i, (features, action, reward) in enumerate(stream(30)):
        fit(one if i % 2 else other, features, action, reward, 1.0)
        fit(row_of(both, 0 if i % 2 else 1), features, action, reward, 1.0)
    for i, alone in enumerate((one, other)):
        for mine, wanted in zip(row_of(both, i), alone, strict=True):
            assert mine.tobytes() == wanted.tobytes()


def test_a_weight_counts_a_reward_more_often() -> None:
    """The step is longer, and so is what is known after it."""
    features, action, reward = stream(1)[0]
    moved = []
    for weight in (1.0, 5.0):
        model = compared_words(PROBLEM)
        fit(model, features, action, reward, 1.0)
        fit(model, features, action, reward + 1, weight)
        moved.append(float(scores_of(model, features)[action]))
    assert reward < moved[0] < moved[1] < reward + 1
    assert math.isfinite(moved[1])
