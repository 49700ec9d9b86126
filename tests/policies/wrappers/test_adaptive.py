"""Adaptive: what it learns anew and what it keeps, which model late feedback goes to, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from support import explorers as x

from onearm.engine import loop, snapshot
from onearm.engine.changes.bank import MODELS
from onearm.engine.changes.error_watch import ErrorWatch
from onearm.engine.changes.worlds import ALL, GONE, seen_by
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.oracles.forgetting import growth
from onearm.engine.problem import fitted
from onearm.engine.protocol import has_law, row_of
from onearm.engine.simulation import Simulation
from onearm.engine.vectors.constants import constants_of
from onearm.engine.vocabulary import Array, Decision, Feedback, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

NO_CONTEXT = np.zeros(0)


def adaptive(inner: Any = "ucb1", **params: Any) -> Policy:
    return catalog.make("adaptive", policy=inner, **params)


def begun(policy: Policy, problem: Problem) -> tuple[Policy, Any]:
    policy = fitted(policy, problem)
    return policy, policy.init(policy.params, problem)


def teach(policy: Policy, state: Any, t: int, arm: int, reward: float, context: Array = NO_CONTEXT) -> None:
    """Let a policy learn what an arm paid that was chosen for sure."""
    models = state.models.rows
    k = models.count.shape[1] if "count" in models._fields else 3
    x.learn(policy, state, x.instance(t, context, k), arm, reward, 1.0)


def win(state: Any, arm: int, number: int) -> None:
    """Let the next reward of an arm tell of a change, which began with the decision of that number."""
    row = min(arm, len(state.watch.book.wealth) - 1)
    state.watch.book.wealth[row] = 1e9
    state.watch.book.start[row] = number
    if isinstance(state.watch, ErrorWatch):
        state.watch.known.filled[0] = 0  # there is nothing to compare rewards with: the bets are believed


def turned(state: Any, worlds: int, policy: Policy, t: int) -> int:
    """Go through so many worlds of 40 decisions for three arms each; return the number of the next decision."""
    for _ in range(worlds):
        for _ in range(39):
            teach(policy, state, t, t % 3, float(t * 7 % 5))
            t += 1
        win(state, t % 3, t - 2)
        teach(policy, state, t, t % 3, 3.0)
        t += 1
    return t


def new_of(inner: Any, problem: Problem) -> Any:
    """Return a state of the policy inside before any feedback."""
    policy = fitted(catalog.from_spec({"name": inner, "params": {}} if isinstance(inner, str) else inner), problem)
    return policy.init(policy.params, problem)


def digest_of(state: Any, model: int) -> str:
    return snapshot.digest(row_of(state.models.rows, model))


def test_a_planted_change_is_found_with_its_place_and_all_arms_begin_anew() -> None:
    policy, state = begun(adaptive("kl_ucb"), Problem(3))
    rng = np.random.default_rng(1)
    t = 0
    while len(seen_by(state.worlds)) == 0 and t < 900:
        mean = 0.2 if t < 600 or t % 3 else 0.9
        teach(policy, state, t, t % 3, float(rng.random() < mean))
        t += 1
    (change,) = seen_by(state.worlds)
    assert 590 <= change.place <= 610
    assert change.noticed == t - 1 < 720
    assert change.evidence >= 1e8
    assert (change.model, change.fresh, state.leader[0], state.models.used[0]) == (1, ALL, 1, 2)
    assert digest_of(state, 1) == snapshot.digest(new_of("kl_ucb", Problem(3)))
    assert digest_of(state, 0) != digest_of(state, 1)


def test_only_the_leader_learns() -> None:
    policy, state = begun(adaptive(), Problem(3))
    t = turned(state, 2, policy, 0)
    before = [digest_of(state, model) for model in range(MODELS)]
    teach(policy, state, t, 1, 0.5)
    assert [digest_of(state, m) == old for m, old in enumerate(before)] == [True, True, False, True]


def test_late_feedback_goes_to_the_model_of_its_world_and_never_to_the_watch() -> None:
    policy, state = begun(adaptive(), Problem(3))
    t = turned(state, 2, policy, 0)
    first, second = (change.place for change in seen_by(state.worlds))
    inner = policy.params.inner
    for late, model in ((first - 1, 0), (first, 1), (second - 1, 1)):
        expected = snapshot.copied(row_of(state.models.rows, model))
        at, decision, feedback = x.instance(late), Decision(1, 1.0), Feedback(4.0, np.zeros(0))
        loop.learn(inner, expected, at, decision, feedback, Key(x.RUN, late))
        others = [digest_of(state, other) for other in range(MODELS) if other != model]
        watch, worlds = snapshot.digest(state.watch), snapshot.digest(state.worlds)
        teach(policy, state, late, 1, 4.0)
        assert digest_of(state, model) == snapshot.digest(expected)
        assert [digest_of(state, other) for other in range(MODELS) if other != model] == others
        assert (snapshot.digest(state.watch), snapshot.digest(state.worlds)) == (watch, worlds)
    watch = snapshot.digest(state.watch)
    teach(policy, state, second, 1, 4.0)  # of the world of now: it is bet on, and the leader learns it
    assert snapshot.digest(state.watch) != watch
    assert t > second


def test_what_was_decided_before_a_change_that_was_placed_late_belongs_to_the_new_model() -> None:
    """The place may be before the decision that told: what was decided since then is of the new world."""
    policy, state = begun(adaptive(), Problem(3))
    for t in range(30):
        teach(policy, state, t, t % 3, float(t * 7 % 5))
    win(state, 0, 25)
    teach(policy, state, 30, 0, 3.0)
    (change,) = seen_by(state.worlds)
    assert change.place == 25
    before = digest_of(state, 0)
    teach(policy, state, 26, 2, 1.0)
    assert digest_of(state, 0) == before
    assert row_of(state.models.rows, 1).count.tolist() == [0, 0, 1]


def test_late_feedback_is_not_learned_where_its_model_is_gone() -> None:
    policy, state = begun(adaptive(), Problem(3))
    turned(state, MODELS, policy, 0)
    before = snapshot.digest(state)
    teach(policy, state, 3, 0, 4.0)  # of the first world, whose model has begun anew
    assert snapshot.digest(state) == before
    teach(policy, state, 45, 0, 4.0)
    assert snapshot.digest(state) != before


def test_at_most_four_models_and_the_one_that_has_not_led_for_longest_makes_room() -> None:
    policy, state = begun(adaptive(), Problem(3))
    used, leaders, t = [], [], 0
    for _ in range(7):
        t = turned(state, 1, policy, t)
        used.append(int(state.models.used[0]))
        leaders.append(int(state.leader[0]))
    assert used == [2, 3, 4, 4, 4, 4, 4]
    assert leaders == [1, 2, 3, 0, 1, 2, 3]
    assert state.worlds.model[:8].tolist() == [GONE, GONE, GONE, GONE, 0, 1, 2, 3]


def test_a_change_in_every_decision_is_bounded() -> None:
    policy, state = begun(adaptive(), Problem(2))
    size = snapshot.size(state)
    of_a_model = sum(array[0].nbytes for array in kept_of(state.models.rows))
    for t in range(300):
        for arm in range(2):
            state.watch.rewards[arm], state.watch.deviation[arm] = 100.0, 1.0
            win(state, arm, t)
        x.learn(policy, state, x.instance(t, k=2), t % 2, 1.0, 1.0)
    assert (state.worlds.total[0], state.models.used[0]) == (301, MODELS)
    assert snapshot.size(state) == size + (MODELS - 1) * of_a_model
    assert [change.noticed for change in seen_by(state.worlds)] == list(range(300 - 63, 300))
    assert x.decide(policy, state, x.instance(300, k=2)).action in (0, 1)


def test_rewards_that_turn_every_second_decision_are_no_changes() -> None:
    policy, state = begun(adaptive(), Problem(2))
    for t in range(2000):
        x.learn(policy, state, x.instance(t, k=2), t % 2, float(t // 2 % 2), 1.0)
    assert seen_by(state.worlds) == []


def test_of_ten_arms_two_change_and_of_the_others_all_is_kept_to_the_bit() -> None:
    policy, state = begun(adaptive("linucb"), Problem(10, (1,)))
    rng = np.random.default_rng(3)
    t = 0
    while not seen_by(state.worlds) and t < 4000:
        arm, context = t % 10, rng.uniform(0.5, 1.5, 1)
        slope = 1.0 + arm / 10.0
        reward = slope * context[0] * (-1.0 if t >= 1500 and arm in (3, 7) else 1.0) + 0.1 * rng.normal()
        x.learn(policy, state, x.instance(t, context, 10), arm, float(reward), 1.0)
        t += 1
    (change,) = seen_by(state.worlds)
    assert 1500 <= change.noticed < 1700
    assert 1490 <= change.place <= change.noticed
    before, now = (list(kept_of(row_of(state.models.rows, model))) for model in (0, 1))
    fresh = [arm for arm in range(10) if state.watch.scratch_fresh[arm]]
    assert {3, 7} & set(fresh)
    assert change.fresh == len(fresh) <= 5
    kept = [arm for arm in range(10) if arm not in fresh]
    for old, array, new in zip(before, now, kept_of(new_of("linucb", Problem(10, (1,)))), strict=True):
        if array.shape[0] == 10:
            np.testing.assert_array_equal(array[kept], old[kept])
            np.testing.assert_array_equal(array[fresh], new[fresh])
        else:
            np.testing.assert_array_equal(array, old)
    assert sum(array.shape[0] == 10 for array in now) == 4


def kept_of(state: Any) -> Iterator[Array]:
    """Yield the arrays that a snapshot would hold."""
    for name, part in zip(state._fields, state, strict=True):
        if not name.startswith("scratch_"):
            yield from kept_of(part) if isinstance(part, tuple) else [part]


def test_a_second_arm_of_the_same_change_is_learned_anew_without_another_world() -> None:
    policy, state = begun(adaptive("squarecb"), Problem(4, (1,)))
    rng = np.random.default_rng(3)
    for t in range(400):
        context = rng.normal(size=1)
        x.learn(policy, state, x.instance(t, context, 4), t % 4, float(context[0] + 0.1 * rng.normal()), 1.0)
    win(state, 2, 400)
    x.learn(policy, state, x.instance(400, rng.normal(size=1), 4), 1, 9.0, 1.0)
    assert len(seen_by(state.worlds)) == 1
    model = row_of(state.models.rows, 1).model.model
    untouched = model.gram[3].copy()
    state.watch.doubts.wealth[4] = 1e4
    for t in (401, 402):
        x.learn(policy, state, x.instance(t, rng.normal(size=1), 4), 3, 9.0, 1.0)
    assert len(seen_by(state.worlds)) == 1
    assert (model.gram[3] != untouched).any()
    assert state.watch.errors.total[1, 4] <= 1.0


def test_worlds_that_come_again_lead_again_without_a_new_model() -> None:
    policy, state = begun(adaptive("squarecb", look=0.0), Problem(3, (1,)))
    rng = np.random.default_rng(5)
    for t in range(1500):
        context, arm = rng.uniform(0.5, 1.5, 1), t % 3
        night = t // 300 % 2 == 1
        reward = (arm + 1.0) * context[0] * (-1.0 if night else 1.0) + 0.3 * rng.normal()
        x.learn(policy, state, x.instance(t, context, 3), arm, float(reward), 1.0)
    changes = seen_by(state.worlds)
    assert [change.model for change in changes] == [1, 0, 1, 0]
    assert [change.fresh for change in changes] == [ALL, 0, 0, 0]
    assert all(0 <= change.noticed - 300 * (n + 1) < 120 for n, change in enumerate(changes))


def test_a_world_that_comes_again_begins_where_the_bets_that_told_of_it_began() -> None:
    policy, state = begun(adaptive("squarecb", look=0.0), Problem(3, (1,)))
    for t in range(400):
        teach(policy, state, t, t % 3, float(t * 7 % 5), np.ones(1))
    win(state, 0, 390)
    teach(policy, state, 400, 0, 3.0, np.ones(1))
    for t in range(401, 710):
        teach(policy, state, t, t % 3, float(t * 7 % 5), np.ones(1))
    win(state, 0, 705)
    state.watch.nearer[0] = 10.0
    teach(policy, state, 710, 0, 3.0, np.ones(1))
    found = [(change.place, change.noticed, change.model) for change in seen_by(state.worlds)]
    assert found == [(390, 400, 1), (705, 710, 0)]


def test_a_change_begins_no_later_than_it_is_noticed_where_feedback_comes_in_another_order() -> None:
    policy, state = begun(adaptive("kl_ucb"), Problem(3))
    for t in range(40):
        teach(policy, state, t, t % 3, float(t * 7 % 5))
    win(state, 0, 60)
    teach(policy, state, 45, 0, 3.0)
    assert [(change.place, change.noticed) for change in seen_by(state.worlds)] == [(45, 45)]


def test_arms_that_join_are_no_change_and_nothing_is_lost() -> None:
    policy, state = begun(adaptive("kl_ucb"), Problem(3))
    t = turned(state, 2, policy, 0)
    watched = [array.copy() for array in state.watch[1:]]
    kept = [snapshot.copied(row_of(state.models.rows, model)) for model in range(3)]
    more = grown(policy, state, Problem(5))
    for model in range(3):
        assert snapshot.digest(row_of(more.models.rows, model)) == snapshot.digest(
            grown(catalog.make("kl_ucb"), kept[model], Problem(5))
        )
    for array, before in zip(more.watch[1:], watched, strict=True):
        np.testing.assert_array_equal(array[:3], before)
        assert not array[3:].any()
    assert (more.watch.book.wealth[3:] == 1.0).all()
    assert seen_by(more.worlds) == seen_by(state.worlds)
    rng = np.random.default_rng(1)
    for n in range(1500):
        arm = n % 5
        x.learn(policy, more, x.instance(t + n, k=5), arm, float(rng.random() < 0.15 * (arm + 1)), 1.0)
    assert len(seen_by(more.worlds)) == 2


def test_the_errors_of_arms_that_were_there_are_kept_where_others_join() -> None:
    policy, state = begun(adaptive("squarecb"), Problem(3, (1,)))
    rng = np.random.default_rng(3)
    for t in range(300):
        context = rng.normal(size=1)
        x.learn(policy, state, x.instance(t, context, 3), t % 3, float(context[0] + rng.normal()), 1.0)
    more = grown(policy, state, Problem(4, (1,)))
    for before, now in zip(state.watch.errors, more.watch.errors, strict=True):
        np.testing.assert_array_equal(now[:, :4], before)
        assert not now[:, 4:].any()
    np.testing.assert_array_equal(more.watch.last, [*state.watch.last, -1])
    assert (more.watch.book.wealth[4] == 1.0).all()
    np.testing.assert_array_equal(more.watch.age, state.watch.age)


def test_looks_take_every_available_arm_alike_and_their_propensities_are_true() -> None:
    policy, state = begun(adaptive(look=0.3), Problem(4))
    for arm in range(4):
        x.learn(policy, state, x.instance(arm, k=4), arm, arm / 4.0, 1.0)
    at = x.instance(4, available=np.array([True, False, True, True]))
    law = x.law_of(policy, state, at)
    assert law == pytest.approx([0.1, 0.0, 0.1, 0.8], rel=1e-14)
    counts = np.zeros(4)
    for t in range(3000):
        decision = Decision(*loop.decide(policy.params, state, at, Key(x.RUN, t)))
        assert decision.propensity == law[decision.action]
        counts[decision.action] += 1
    assert (abs(counts / 3000 - law) <= 4.0 * np.sqrt(law * (1.0 - law) / 3000)).all()


def test_looks_and_the_policy_inside_draw_apart() -> None:
    policy, state = begun(adaptive("uniform", look=0.3), Problem(4))
    counts = np.bincount([x.decide(policy, state, x.instance(t, k=4)).action for t in range(3000)], minlength=4)
    assert (abs(counts - 750) <= 4.0 * np.sqrt(3000 * 0.25 * 0.75)).all()


def test_looking_always_is_uniform() -> None:
    policy, state = begun(adaptive(look=1.0), Problem(3))
    assert x.law_of(policy, state, x.instance(0)) == pytest.approx([1 / 3] * 3, rel=1e-15)
    assert len({x.decide(policy, state, x.instance(t)).action for t in range(40)}) == 3


def test_without_an_inner_law_propensities_are_unknown_and_no_floor_goes_around() -> None:
    inner = {"name": "thompson_any", "params": {"propensities": False}}
    policy, state = begun(adaptive(inner, look=0.5), Problem(3))
    assert not has_law(policy.params)
    for t in range(20):
        assert math.isnan(x.decide(policy, state, x.instance(t)).propensity)
    with pytest.raises(InvalidInput, match="does not know the probabilities"):
        catalog.make("floor", policy=policy)


def test_what_never_draws_never_draws_but_to_look() -> None:
    assert adaptive(look=0.0).deterministic
    assert not adaptive().deterministic
    assert not adaptive("squarecb", look=0.0).deterministic


@pytest.mark.parametrize("outer", ["floor", "budget", "floor of budget"])
def test_a_floor_and_a_budget_go_around_and_keep_their_promises(outer: str) -> None:
    policy = adaptive(look=0.2)
    if "budget" in outer:
        policy = catalog.make("budget", policy=policy, cost=[1.0, 2.0, 6.0], limit=2.5)
    if "floor" in outer:
        policy = catalog.make("floor", policy=policy, minimum=0.05)
    policy, state = begun(policy, Problem(3))
    for t in range(60):
        at = x.instance(t)
        law = x.law_of(policy, state, at)
        assert law.sum() == pytest.approx(1.0, abs=1e-12)
        assert outer != "budget" or law @ [1.0, 2.0, 6.0] <= 2.5 + 1e-9
        assert "floor" not in outer or law.min() >= 0.05 - 1e-12
        decision = x.decide(policy, state, at)
        assert decision.propensity == law[decision.action]
        x.learn(policy, state, at, decision.action, decision.action / 2.0, decision.propensity)


REFUSED = {
    "a half-life": ('{"name": "linucb", "params": {"half_life": 100}}', "has a half_life, .* leave out one of them"),
    "itself": ('{"name": "adaptive", "params": {"policy": "ucb1"}}', "notices changes already: wrap once"),
    "itself in a floor": (
        '{"name": "floor", "params": {"policy": {"name": "adaptive", "params": {"policy": "ucb1"}}}}',
        "notices changes already",
    ),
    "a floor": ('{"name": "floor", "params": {"policy": "ucb1"}}', "'floor' keeps a promise .* wrap the policy inside"),
    "a budget": (
        '{"name": "budget", "params": {"policy": "ucb1", "cost": [1, 2], "limit": 2}}',
        "'budget' keeps a promise",
    ),
    "vectors": ('{"name": "gradient_descent", "params": {}}', "does not choose among arms"),
    "a stream": ('{"name": "early_drop", "params": {}}', "does not choose among arms"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_go_inside_is_refused_with_the_reason(case: str) -> None:
    spec, reason = REFUSED[case]
    with pytest.raises(InvalidInput, match=reason):
        catalog.parse(f'adaptive:{{"policy": {spec}}}')


def test_what_is_not_a_policy_or_not_a_probability_is_refused() -> None:
    with pytest.raises(InvalidInput, match="policy is 7: it must be"):
        adaptive(7)
    with pytest.raises(InvalidInput, match="needs the param 'policy'"):
        catalog.make("adaptive")
    for look in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidInput, match="look is"):
            adaptive(look=look)


@pytest.mark.parametrize(
    ("inner", "context"),
    [
        ({"name": "logistic_thompson", "params": {}}, (2,)),  # whose scores are logits
        ({"name": "tsallis_inf_binned", "params": {"low": -1, "high": 1, "reward_max": 1}}, (1,)),
    ],
)
def test_with_contexts_a_policy_must_foretell_rewards(inner: Any, context: tuple[int]) -> None:
    with pytest.raises(InvalidInput, match="decides by contexts and does not foretell rewards"):
        begun(adaptive(inner), Problem(3, context))
    begun(adaptive(inner), Problem(3))


def test_the_nested_spec_is_complete() -> None:
    policy = fitted(catalog.parse('adaptive:{"policy": {"name": "fourier_softmax"}}'), Problem(3, (2,)))
    inner = policy.spec["params"]["policy"]
    assert policy.spec == {"name": "adaptive", "params": {"policy": inner, "look": 0.001, "within_rewards": True}}
    assert inner["name"] == "fourier_softmax"
    assert inner["params"]["coordinates"] is not None
    again = catalog.from_spec(policy.spec)
    np.testing.assert_equal(again.params, policy.params)


def test_a_spec_that_was_stored_before_takes_predictions_as_they_are() -> None:
    """And its state has the arrays that it had."""
    problem = Problem(2, (2, 64), nonzeros=3)
    policy, state = begun(adaptive("squarecb"), problem)
    stored = {"name": "adaptive", "params": {"policy": policy.spec["params"]["policy"], "look": 0.001}}
    before, state_before = begun(catalog.from_stored(stored), problem)
    assert before.version == policy.version - 1
    assert len(state.watch.reached) == 1
    assert len(state_before.watch.reached) == 0
    with pytest.raises(InvalidInput, match="within_rewards is 1: it must be true or false"):
        adaptive("squarecb", within_rewards=1)


def test_the_bytes_of_all_models_are_told() -> None:
    policy, state = begun(adaptive("fourier_softmax"), Problem(3, (2,)))
    one = constants_of(policy, state)
    state.models.used[0] = 3
    three = constants_of(policy, state)
    assert three["model_bytes"].value == 3 * one["model_bytes"].value > 0
    assert three["coordinates"] == one["coordinates"]


def test_a_declared_range_reaches_the_policy_inside() -> None:
    policy = fitted(adaptive("thompson_beta"), Problem(2, reward_range=(0.0, 50.0)))
    assert policy.reward_range == (0.0, 50.0)


def test_as_many_arms_as_the_policy_inside_takes() -> None:
    """thompson_beta takes 2000 arms and no more; to tell which arrays are per arm none may be asked for beyond."""
    begun(adaptive("thompson_beta"), Problem(2000))
    begun(adaptive(), Problem(1))


def test_of_models_that_have_not_begun_nothing_is_written() -> None:
    """So that they take neither memory nor room in a snapshot."""
    _, state = begun(adaptive("linucb"), Problem(5, (3,)))
    arrays = list(kept_of(state.models.rows))
    assert any(part[0].any() for part in arrays)
    assert not any(part[1:].any() for part in arrays)


@pytest.mark.usefixtures("few_cosines")
@pytest.mark.parametrize("inner", ["bag", "ucb1", "fourier_ucb"])
def test_where_arms_cannot_be_told_apart_all_is_learned_anew(inner: str) -> None:
    """Of bag the arms are a second axis; of what counts awaited decisions a part of an arm would be left behind."""
    spec = {"name": inner, "params": {} if inner == "bag" else {"wait": 3}}
    policy, state = begun(adaptive(spec), Problem(4, (1,)))
    assert not state.scratch_new.per_arm.any()
    for t in range(12):
        x.learn(policy, state, x.instance(t, np.ones(1), 4), t % 4, float(t % 3), 1.0)
    win(state, 0, 10)
    x.learn(policy, state, x.instance(12, np.ones(1), 4), 0, 1.0, 1.0)
    (change,) = seen_by(state.worlds)
    assert change.fresh == ALL
    assert digest_of(state, 1) == snapshot.digest(new_of(spec, Problem(4, (1,))))


def growth_of(state: Any, model: int) -> float:
    return float(row_of(state.models.rows, model).model.model.growth[0])


def test_after_a_change_that_took_long_to_show_the_new_model_forgets_and_ever_less() -> None:
    policy, state = begun(adaptive("squarecb"), Problem(3, (2,)))
    context = np.ones(2)
    for t in range(400):
        teach(policy, state, t, t % 3, float(t * 7 % 5), context)
    win(state, 0, 400 - 350)
    teach(policy, state, 400, 0, 3.0, context)
    model = int(state.leader[0])
    assert (model, state.half_life.tolist()) == (1, [np.inf, 350.0, np.inf, np.inf])
    assert growth_of(state, 1) == growth(350.0) > growth_of(state, 0) == 1.0
    for t in (401, 400 + 16 * 350 - 1):
        teach(policy, state, t, 0, 3.0, context)
        assert state.half_life[1] == 350.0
    teach(policy, state, 400 + 16 * 350, 0, 3.0, context)
    assert (state.half_life[1], state.longer[0]) == (700.0, 6000 + 16 * 700)
    assert growth_of(state, 1) == growth(700.0)


def test_after_a_change_that_shows_at_once_nothing_is_forgotten() -> None:
    policy, state = begun(adaptive("squarecb"), Problem(3, (2,)))
    for t in range(400):
        teach(policy, state, t, t % 3, float(t * 7 % 5), np.ones(2))
    win(state, 0, 400 - 299)
    teach(policy, state, 400, 0, 3.0, np.ones(2))
    assert state.leader[0] == 1
    assert (state.half_life == np.inf).all()
    assert growth_of(state, 1) == 1.0


def test_an_arm_learned_anew_leaves_the_half_life_of_the_change_before_behind() -> None:
    policy, state = begun(adaptive("squarecb"), Problem(3, (2,)))
    for t in range(2000):
        teach(policy, state, t, t % 3, float(t * 7 % 5), np.ones(2))
        if t in (399, 1399):
            win(state, 1 + t % 3, t - (350 if t == 399 else 20))
    assert state.worlds.total[0] == 3
    assert state.half_life[state.leader[0]] == np.inf
    assert growth_of(state, int(state.leader[0])) == 1.0


@pytest.mark.slow
@pytest.mark.jit
def test_in_a_world_that_drifts_without_end_more_is_earned_than_by_one_that_never_forgets() -> None:
    plays, k, d = 12_000, 5, 6
    random = np.random.default_rng(3)
    turns = 2.0 * np.pi * np.linspace(0.0, 0.5, plays)
    first, second = random.normal(size=(2, d, k)) / math.sqrt(d)
    contexts = random.normal(size=(plays, d))
    paid = np.cos(turns)[:, None] * (contexts @ first) + np.sin(turns)[:, None] * (contexts @ second)
    rewards = paid + 0.3 * random.normal(size=paid.shape)
    world = envs.make("logged_table", reward=rewards, context=contexts)
    earned = {}
    for inner in ("linucb", adaptive("linucb")):
        policy = catalog.make(inner) if isinstance(inner, str) else inner
        run = Simulation(policy, world, horizon=plays, seed=1)
        run.advance(plays)
        earned[policy.name] = run.totals.reward[0] / plays
    assert earned["adaptive"] > earned["linucb"] + 0.35
    assert np.isfinite(run.state.half_life[run.state.leader[0]])


@pytest.mark.slow
@pytest.mark.jit
def test_arms_that_are_reversed_are_soon_played_as_before() -> None:
    """Alone thompson_any earns .109 in the third part."""
    inner = {"name": "bernoulli", "params": {"mean": [0.1, 0.2, 0.3, 0.4, 0.6]}}
    world = envs.make("switching", env=inner, at=[5000], orders=[[0, 1, 2, 3, 4], [4, 3, 2, 1, 0]])
    policy = adaptive({"name": "thompson_any", "params": {"propensities": False}})
    paid = []
    for replication in range(10):
        run = Simulation(policy, world, horizon=10_000, seed=1, replication=replication)
        for _ in range(4):
            run.advance(2500)
            paid.append(float(run.totals.reward[0]))
    parts = np.diff(np.array(paid).reshape(10, 4), prepend=0.0, axis=1).mean(axis=0) / 2500
    assert parts[1] > 0.57
    assert parts[2] > 0.55
    assert parts[3] > 0.57


@pytest.mark.slow
@pytest.mark.jit
def test_where_nothing_changes_no_change_is_found() -> None:
    """In 40 runs of 20,000 decisions each; benchmarks/changes.py has 300 of 100,000, of every kind of reward."""
    world = envs.make("bernoulli", mean=[0.1, 0.2, 0.3, 0.4, 0.6])
    found = 0
    for replication in range(40):
        run = Simulation(adaptive(), world, horizon=20_000, seed=3, replication=replication)
        run.advance(20_000)
        found += len(seen_by(run.state.worlds))
    assert found == 0
