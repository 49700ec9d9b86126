"""Scores: what a policy says that it expects is what it decides by, and what other programs say after the same log."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import golden
import numpy as np
import pytest
from support import explorers as x

from onearm.engine.errors import InvalidInput
from onearm.engine.laws.from_scores import greedy, inverse_gap
from onearm.engine.laws.from_scores import softmax as softmax_law
from onearm.engine.protocol import appraise, explains
from onearm.engine.vocabulary import Array, Instance, Policy, Problem
from onearm.policies import catalog

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "arms.md").read_text()
NAME = re.compile(r"`(\w+)`")
# Arms and rewards on record, and contexts for those that read them
ACTIONS = [1, 1, 0, 2, 1, 0, 2, 0]
REWARDS = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]
CONTEXTS = [
    [0, 1, 2, 3, 5],
    [1, 1, 1, 1, 1],
    [0, 0, 1, 0, 0],
    [0, 2, 2, 3, 5],
    [1, 3, 1, 1, 1],
    [0, 0, 0, 0, 0],
    [0, 1, 4, 3, 5],
    [0, 1, 2, 4, 5],
]


class Told(NamedTuple):
    """What a policy tells of k actions: float64[k] each."""

    score: Array
    width: Array
    law: Array


def told(policy: Policy, state: Any, at: Instance) -> Told:
    scores, widths = np.full(len(at.available), np.nan), np.full(len(at.available), np.nan)
    appraise(policy.params, state, at, scores, widths)
    return Told(scores, widths, x.law_of(policy, state, at))


def learned(name: str, **params: Any) -> tuple[Policy, Any]:
    """Return a policy that learned the log, and its state."""
    policy = catalog.make(name, **params)
    shape = (state_shape(policy),)
    state = policy.init(policy.params, Problem(3, shape))
    for t, (action, reward) in enumerate(zip(ACTIONS, REWARDS, strict=True)):
        x.learn(policy, state, x.instance(t, np.array(CONTEXTS[t][: shape[0]], np.float64)), action, reward)
    return policy, state


def wraps(name: str) -> bool:
    """Tell whether a policy goes around another one."""
    return hasattr(golden.specimen(name).params, "inner")


def test_the_page_says_which_policies_have_scores_and_which_refuse() -> None:
    alone = {name for name in golden.names("arm") if not wraps(name)}
    having = {name for name in alone if explains(golden.specimen(name).params)}
    section = PAGE.partition("## What a policy expects: scores\n")[2].partition("\n## ")[0]
    table, _, below = section.partition("\nWrappers tell")
    rows = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    assert sorted(NAME.findall(" ".join(rows))) == sorted(having)
    assert sorted(NAME.findall(below.partition("where that expects nothing.")[2])) == sorted(alone - having)


@pytest.mark.parametrize("name", [name for name in golden.names("arm") if wraps(name)])
def test_a_wrapper_has_scores_where_the_policy_inside_has(name: str) -> None:
    """As the page says."""
    params = golden.SPECIMENS[name]
    assert explains(catalog.make(name, **params | {"policy": {"name": "squarecb", "params": {}}}).params)
    without = params | {"policy": {"name": "tsallis_inf", "params": {}}}
    if name == "paced_budget":
        with pytest.raises(InvalidInput, match="does not foretell"):
            catalog.make(name, **without)
    else:
        assert not explains(catalog.make(name, **without).params)


def leaders(told: Told) -> Array:
    """Return the law that takes the largest index for sure."""
    law = np.zeros(len(told.score))
    law[np.argmax(told.score + told.width)] = 1.0
    return law


def by_epsilon(score: Array, epsilon: float) -> Array:
    """Return the probabilities of Vowpal Wabbit 9.11, `generate_epsilon_greedy` of explore_internal.h."""
    law = np.full(len(score), epsilon / len(score))
    law[np.argmax(score)] += 1.0 - epsilon
    return law


def by_softmax(score: Array, sharpness: float) -> Array:
    """Return those of `generate_softmax`, whose lambda is `sharpness`."""
    weight = np.exp(sharpness * (score - score.max()))
    return weight / weight.sum()


def by_inverse_gap(score: Array, gamma: float) -> Array:
    """Return those of `--squarecb`: `gamma` is its gamma_scale times a power of the count, scores are minus costs."""
    law = 1.0 / (len(score) + gamma * (score.max() - score))
    best = np.argmax(score)
    law[best] = 0.0
    law[best] = 1.0 - law.sum()
    return law


BY_SCORES: dict[str, tuple[dict[str, Any], Callable[[Told], Array]]] = {
    "ucb1": ({}, leaders),
    "kl_ucb": ({}, leaders),
    "moss": ({}, leaders),
    "linucb": ({}, leaders),
    "regcb": ({}, leaders),
    "epsilon_greedy": ({"epsilon": 0.2}, lambda told: by_epsilon(told.score, 0.2)),
    "linear_greedy": ({"epsilon": 0.2}, lambda told: by_epsilon(told.score, 0.2)),
    "softmax": ({"sharpness": 2.0, "noise": 1.0}, lambda told: by_softmax(told.score, 2.0)),
    "squarecb": ({"gamma": 10.0, "noise": 1.0}, lambda told: by_inverse_gap(told.score, 10.0 * math.sqrt(8.0))),
}


# MABWiser 2.7.4 after the same log, MAB([0, 1, 2], policy).fit(ACTIONS, REWARDS): UCB1(alpha=1.25) and, by the means,
# EpsilonGreedy(epsilon=0) have these expectations, and Softmax(tau=0.5) draws by `arm_to_expectation`.
UCB1 = [2.13842919481101, 2.13842919481101, 2.3025336082511036]
MEANS = [0.6666666666666666, 0.6666666666666666, 0.5]
SOFTMAX = [0.36811650066671925, 0.36811650066671925, 0.2637669986665615]
# LinGreedy(epsilon=0, l2_lambda=0.6), fitted with CONTEXTS as well, for three further contexts
LIN_GREEDY = [
    ([0, 1, 2, 3, 5], [1.0260770975056688, 0.06722467541026944, 0.2738785474519385]),
    ([1, 1, 1, 1, 1], [0.5640589569160989, 0.7091544190338104, 0.09841318278913713]),
    ([0.5, -1, 0, 2, 0], [-0.03968253968253854, 0.20134449350820538, 0.14113518462007835]),
]
# Vowpal Wabbit 9.11.9: costs (the weight of each action in its model, float32), and the probabilities that it predicts,
# after nine costs of four actions without features. --cb_explore_adf with --cb_type mtr, which --squarecb has itself.
MTR = [0.29774653911590576, 0.17394143342971802, -0.05456311255693436, 0.25742724537849426]
SQUARE = [0.21038444340229034, 0.12801975011825562, -0.05450049787759781, 0.25072628259658813]
EPSILON = [0.02500000037252903, 0.02500000037252903, 0.9249999523162842, 0.02500000037252903]
SHARP = [0.12644287943840027, 0.20747509598731995, 0.5175102353096008, 0.14857174456119537]
SQUARED = [0.08370619267225266, 0.1055341362953186, 0.7347533702850342, 0.07600630819797516]
LINEAR = [0.035920001566410065, 0.048955243080854416, 0.8833488821983337, 0.031775880604982376]
SURE = [0.0, 0.0, 1.0, 0.0]


class Explorer(NamedTuple):
    """Vowpal Wabbit's probabilities by its costs, beside the kernel of such laws and the formula with a number."""

    kernel: Callable[..., int]
    formula: Callable[[Array, float], Array]
    number: float
    costs: list[float]
    probabilities: list[float]


VOWPAL_WABBIT = {
    "--epsilon 0.1": Explorer(greedy, by_epsilon, 0.1, MTR, EPSILON),
    "--softmax --lambda 4 --epsilon 0": Explorer(softmax_law, by_softmax, 4.0, MTR, SHARP),
    "--squarecb --gamma_scale 10": Explorer(inverse_gap, by_inverse_gap, 10.0 * math.sqrt(9.0), SQUARE, SQUARED),
    "--squarecb --gamma_scale 10 --gamma_exponent 1": Explorer(inverse_gap, by_inverse_gap, 90.0, SQUARE, LINEAR),
    "--first 3": Explorer(greedy, by_epsilon, 0.0, MTR, SURE),
    "--regcbopt --mellowness 0.001": Explorer(greedy, by_epsilon, 0.0, SQUARE, SURE),
}


def test_scores_are_the_expectations_of_mabwiser() -> None:
    policy, state = learned("ucb1", alpha=1.25)
    found = told(policy, state, x.instance(len(ACTIONS)))
    assert found.score + found.width == pytest.approx(UCB1, abs=1e-12)
    assert found.score == pytest.approx(MEANS, abs=1e-12)
    policy, state = learned("epsilon_greedy", epsilon=0.0, origin=0.0)
    score = told(policy, state, x.instance(len(ACTIONS))).score
    assert score == pytest.approx(MEANS, abs=1e-12)
    law = np.zeros(3)
    softmax_law(score, np.ones(3, np.bool_), 1.0 / 0.5, law)
    assert law == pytest.approx(SOFTMAX, abs=1e-12)


def test_scores_of_linucb_are_the_expectations_of_lin_greedy() -> None:
    """test_linucb.py has those of MABWiser's LinUCB, which are score + width."""
    policy, state = learned("linucb", regularisation=0.6, scaling="none", noise=1.0)
    for context, expected in LIN_GREEDY:
        found = told(policy, state, x.instance(len(ACTIONS), np.array(context, np.float64)))
        assert found.score == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("flags", VOWPAL_WABBIT)
def test_given_its_scores_the_probabilities_are_those_of_vowpal_wabbit(flags: str) -> None:
    """To the last digits of its float32, and by its formula to those of float64."""
    kernel, formula, number, costs, probabilities = VOWPAL_WABBIT[flags]
    law = np.zeros(4)
    leader = kernel(-np.array(costs), np.ones(4, np.bool_), number, law)
    assert leader == int(np.argmin(costs))
    assert law == pytest.approx(formula(-np.array(costs), number), abs=1e-12)
    assert law == pytest.approx(probabilities, abs=2e-7)


@pytest.mark.parametrize("name", BY_SCORES)
def test_a_law_is_what_follows_from_the_scores_that_are_told(name: str) -> None:
    params, law_of = BY_SCORES[name]
    policy, state = learned(name, **params)
    shape = state_shape(policy)
    laws = []
    for context in ([0.5, -1, 0, 2, 0], [0, 1, 2, 3, 5], [1, 1, 1, 1, 1]):
        found = told(policy, state, x.instance(len(ACTIONS), np.array(context[:shape], np.float64)))
        assert found.law == pytest.approx(law_of(found), abs=1e-12)
        laws.append(found.law)
    assert np.ptp(np.array(laws)) > 0.1


def state_shape(policy: Policy) -> int:
    """Return how many numbers a context has for a policy."""
    return 0 if policy.contexts == ("none",) else len(CONTEXTS[0])


@pytest.mark.parametrize("name", ["thompson_normal", "thompson_any", "linear_thompson"])
def test_a_law_of_draws_is_how_likely_each_normal_score_is_the_largest(name: str) -> None:
    policy, state = learned(name)
    found = told(policy, state, x.instance(len(ACTIONS), np.array([0.5, -1.0, 0.0, 2.0, 0.0][: state_shape(policy)])))
    low, high = (found.score - 9.0 * found.width).min(), (found.score + 9.0 * found.width).max()
    at = np.linspace(low, high, 40_001)
    z = (at - found.score[:, np.newaxis]) / found.width[:, np.newaxis]
    density = np.exp(-0.5 * z * z) / (found.width[:, np.newaxis] * math.sqrt(2.0 * math.pi))
    below = 0.5 * (1.0 + np.vectorize(math.erf)(z / math.sqrt(2.0)))
    largest = [density[a] * np.prod(np.delete(below, a, axis=0), axis=0) for a in range(3)]
    assert found.law == pytest.approx(np.sum(largest, axis=1) * (at[1] - at[0]), rel=1e-6)


def test_thompson_beta_tells_the_moments_of_its_posteriors() -> None:
    policy, state = learned("thompson_beta")
    found = told(policy, state, x.instance(len(ACTIONS)))
    successes, failures = np.array([3.0, 3.0, 2.0]), np.array([2.0, 2.0, 2.0])
    total = successes + failures
    assert found.score == pytest.approx(successes / total, rel=1e-15)
    assert found.width == pytest.approx(np.sqrt(successes * failures / (total + 1.0)) / total, rel=1e-14)


def test_what_is_not_known_is_not_told() -> None:
    """Before the first reward there is no origin; an arm that was not played counts as that reward."""
    policy = catalog.make("epsilon_greedy")
    state = policy.init(policy.params, Problem(3))
    assert np.isnan(told(policy, state, x.instance(0)).score).all()
    x.learn(policy, state, x.instance(0), 1, 4.0)
    x.learn(policy, state, x.instance(1), 1, 6.0)
    there = np.array([True, True, False])
    found = told(policy, state, x.instance(2, available=there))
    assert found.score.tolist()[:2] == [4.0, 5.0] and np.isnan(found.score[2]) and np.isnan(found.width).all()
    given = catalog.make("epsilon_greedy", origin=1.5)
    assert told(given, given.init(given.params, Problem(3)), x.instance(0)).score.tolist() == [1.5] * 3
