"""The paced budget: its bits by plain Python, what it may spend, what it earns beside the best mixture, refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog
from support import explorers as x

from onearm.engine import loop, protocol
from onearm.engine.draws import POLICY, run_key, uniform
from onearm.engine.errors import InvalidInput
from onearm.engine.growth import grown
from onearm.engine.laws.spending import price_of
from onearm.engine.problem import fitted
from onearm.engine.simulation import simulate
from onearm.engine.vocabulary import Array, Decision, Feedback, Instance, Key, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog

COST = [1.0, 2.0, 6.0]
MODELS = {"mean": [0.789, 0.923, 0.935]}  # three language models, and what they cost by the dear one
PRICES = [0.0019, 0.0348, 1.0]


def paced(inner: Any = "squarecb", limit: float = 2.0, **more: Any) -> Policy:
    return catalog.make("paced_budget", policy=inner, limit=limit, **(more or {"cost": COST}))


def fresh(policy: Policy, problem: Problem) -> tuple[Policy, Any]:
    policy = fitted(policy, problem)
    return policy, policy.init(policy.params, problem)


def tell(policy: Policy, state: Any, at: Instance, decision: Decision, reward: float, cost: float | None) -> None:
    """Let a policy learn a reward and its cost, where that is told."""
    detail = np.zeros(0) if cost is None else np.array([cost])
    loop.learn(policy.params, state, at, decision, Feedback(reward, detail), Key(x.RUN, at.t))


class Oracle:
    """The law and the account again, in plain Python, beside an inner policy of its own."""

    def __init__(self, inner: Policy, problem: Problem, limit: float, horizon: float, window: float) -> None:
        self.inner, self.state = inner, inner.init(inner.params, problem)
        self.limit, self.horizon, self.window = limit, horizon, window
        self.overdraft = self.square = self.spent = 0.0
        self.decisions = 0
        self.mean, self.count = list(COST), [1.0] * len(COST)
        self.weight = self.errors = 0.0

    def scores(self, at: Instance) -> Array:
        scores = np.zeros(len(at.available))
        protocol.foretell(self.inner.params, self.state, at, scores, np.zeros(len(at.available)))
        return scores

    def allowed(self) -> float:
        if self.horizon == math.inf:
            return self.limit
        left = self.horizon - self.decisions
        return max(self.limit * self.horizon - self.spent, 0.0) / left if left > 0 else 0.0

    def law(self, at: Instance) -> list[float]:
        scores, there = self.scores(at), [a for a in range(len(COST)) if at.available[a]]
        cheapest = min(there, key=lambda a: self.mean[a])
        if self.horizon < math.inf:
            later = max(self.horizon - self.decisions - 1.0, 0.0)
            rest = self.limit * self.horizon - self.spent - later * self.mean[cheapest]
            there = [a for a in there if a == cheapest or self.mean[a] <= rest]
        sd = math.sqrt(self.errors / self.weight) if self.weight > 0.0 else 0.0
        unit = 1.0 / sd if sd > 0.0 else 0.0
        price = 2.0 * self.overdraft / math.sqrt(1.0 + self.square) / self.limit
        best = max((scores[a] for a in there if not math.isnan(scores[a])), default=0.0)
        net = {a: ((best if math.isnan(scores[a]) else scores[a]) - best) * unit - price * self.mean[a] for a in there}
        leader = max(there, key=lambda a: (net[a], -a))
        gamma = 10.0 * math.sqrt(1.0 + self.weight)
        law = [0.0] * len(COST)
        for a in there:
            law[a] = 0.0 if a == leader else 1.0 / (len(there) + gamma * (net[leader] - net[a]))
        law[leader] = 1.0 - sum(law)
        return law

    def decide(self, at: Instance) -> Decision:
        law, u = self.law(at), uniform(Key(x.RUN, at.t), 2**32 - 3)
        leader = max(range(len(law)), key=lambda a: (law[a], -a))
        order = [leader, *(a for a in range(len(law)) if a != leader)]
        action = leader
        if u >= law[leader]:
            u, total = u - law[leader], 0.0
            for a in order[1:]:
                total += law[a]
                action = a
                if u < total:
                    break
        self.charge((COST[action] - self.allowed()) / self.limit, COST[action])
        return Decision(action, law[action])

    def charge(self, step: float, cost: float) -> None:
        self.decisions += 1
        self.spent += cost
        self.square = (1.0 - 1.0 / self.window) * self.square + step * step
        self.overdraft = max(self.overdraft + step, 0.0)

    def learn(self, at: Instance, decision: Decision, reward: float, cost: float | None) -> None:
        error = reward - self.scores(at)[decision.action]
        if not math.isnan(error):
            keep = 1.0 - 1.0 / self.window
            self.weight, self.errors = keep * self.weight + 1.0, keep * self.errors + error * error
        if cost is not None and not math.isnan(cost):
            a = decision.action
            more = cost - COST[a]
            self.spent += more
            self.square += (more / self.limit) * (more / self.limit)
            self.overdraft = max(self.overdraft + more / self.limit, 0.0)
            self.count[a] = min(self.count[a] + 1.0, self.window)
            self.mean[a] += (cost - self.mean[a]) / self.count[a]
        feedback = Feedback(reward, np.zeros(0))
        protocol.update(self.inner.params, self.state, at, decision, feedback, Key(x.RUN, at.t))


@pytest.mark.usefixtures("few_cosines")
@pytest.mark.parametrize(
    ("inner", "horizon", "d"),
    [("squarecb", None, 0), ("linucb", None, 2), ("ucb1", 90, 0), ("fourier_softmax", 200, 2), ("squarecb", 60, 0)],
)
def test_plain_python_decides_the_same_bits(inner: str, horizon: int | None, d: int) -> None:
    """Costs are told, told as NaN, or left out; rewards come at once or three decisions later; arms come and go."""
    problem = Problem(3, (d,))
    policy, state = fresh(paced(inner, cost=COST, horizon=horizon, window=50), problem)
    oracle = Oracle(fitted(catalog.make(inner), problem), problem, 2.0, horizon or math.inf, 50.0)
    rng = np.random.default_rng(5)
    open_decisions: list[tuple[Instance, Decision]] = []
    for t in range(200):
        available = np.array([True, t % 7 != 3, t % 5 != 1])
        at = x.instance(t, rng.normal(size=d), available=available)
        law = x.law_of(policy, state, at)
        made = x.decide(policy, state, at)
        expected = oracle.decide(at)
        assert (made.action, made.propensity) == (expected.action, expected.propensity), t
        assert law[made.action] == made.propensity
        open_decisions.append((at, made))
        while len(open_decisions) > (3 if t % 20 < 10 else 0):
            then, before = open_decisions.pop(0)
            reward = float(rng.normal([0.2, 0.5, 0.6][before.action], 0.2))
            cost = [None, math.nan, COST[before.action] * float(rng.gamma(2.0) / 2.0)][then.t % 3]
            tell(policy, state, then, before, reward, cost)
            oracle.learn(then, before, reward, cost)
    assert state.account.spent[0] == oracle.spent and state.account.overdraft[0] == oracle.overdraft
    assert state.costs.mean.tolist() == oracle.mean


def test_a_stretch_spends_no_more_than_the_overdraft_has_grown_by() -> None:
    """Whatever costs turn out to be, also where no policy could have known."""
    policy, state = fresh(paced(limit=2.0), Problem(3))
    rng = np.random.default_rng(6)
    spent, overdraft = [0.0], [0.0]
    for t in range(400):
        at = x.instance(t)
        decision = x.decide(policy, state, at)
        tell(policy, state, at, decision, float(rng.random()), 1.0 + 9.0 * float(rng.random()) * (t % 50 < 10))
        spent.append(float(state.account.spent[0]))
        overdraft.append(float(state.account.overdraft[0]))
    n = np.arange(401)
    room = 2.0 * (n[None, :] - n[:, None] + np.array(overdraft)[None, :] - np.array(overdraft)[:, None])
    used = np.array(spent)[None, :] - np.array(spent)[:, None]
    later = n[None, :] > n[:, None]
    assert (used[later] <= room[later] + 1e-9).all()
    assert max(overdraft) > 5.0


def test_what_is_spent_is_paced_before_any_reward_comes() -> None:
    policy, state = fresh(paced(cost=PRICES, limit=0.03), Problem(3))
    for t in range(2000):
        x.decide(policy, state, x.instance(t))
    assert state.account.spent[0] <= 1.03 * 2000 * 0.03


def test_a_limit_that_all_arms_keep_to_costs_nothing() -> None:
    """Then the price is 0, and the law SquareCB's over what the inner policy foretells."""
    policy, state = fresh(paced(limit=6.0), Problem(3))
    for t in range(60):
        at = x.instance(t)
        decision = x.decide(policy, state, at)
        tell(policy, state, at, decision, [0.1, 0.4, 0.9][decision.action] + 0.1 * (t % 3), None)
    assert price_of(state.account) == 0.0
    assert x.law_of(policy, state, x.instance(60))[2] > 0.95


def best_mixture(mean: list[float], cost: list[float], limit: float) -> float:
    """Return what the best fixed mixture of arms earns a decision, in hindsight."""
    ones = [1.0] * len(mean)
    found = linprog([-m for m in mean], A_ub=[cost], b_ub=[limit], A_eq=[ones], b_eq=[1.0])
    return -float(found.fun)


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("limit", [0.03, 0.1, 0.3])
def test_three_models_earn_what_the_best_mixture_does(limit: float) -> None:
    """Once they are known. The old budget mixes with the cheapest arm alone, and earns less."""
    env = {"name": "bernoulli", "params": MODELS}
    world = envs.make("priced", env=env, cost=PRICES, spread=0.8)

    def earned(policy: Policy) -> float:
        found = simulate(policy, world, horizon=8000, replications=8, seed=2)
        known = int(np.searchsorted(found.t, 2000))
        return float((found.reward[:, -1] - found.reward[:, known]).mean() / (8000 - found.t[known]))

    mean = earned(paced(cost=PRICES, limit=limit))
    assert mean >= 0.99 * best_mixture(MODELS["mean"], PRICES, limit)
    if limit < 0.1:
        assert mean >= earned(catalog.make("budget", policy="squarecb", cost=PRICES, limit=limit)) + 0.01


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.5])
def test_what_is_spent_keeps_to_the_limit_where_costs_change(factor: float) -> None:
    policy, state = fresh(paced(cost=PRICES, limit=0.1), Problem(3))
    rng = np.random.default_rng(7)
    for t in range(3000):
        at = x.instance(t)
        decision = x.decide(policy, state, at)
        reward = float(rng.random() < MODELS["mean"][decision.action])
        cost = PRICES[decision.action] * (factor if t >= 1500 else 1.0) * float(rng.gamma(1.5) / 1.5)
        tell(policy, state, at, decision, reward, cost)
    assert state.account.spent[0] <= 1.02 * 3000 * 0.1
    assert state.costs.mean[1] == pytest.approx(PRICES[1] * factor, rel=0.25)


@pytest.mark.parametrize("horizon", [1, 2, 500])
def test_a_total_is_never_overspent_and_nearly_used(horizon: int) -> None:
    policy, state = fresh(paced(limit=2.0, cost=COST, horizon=horizon), Problem(3))
    for t in range(horizon + 50):
        at = x.instance(t)
        law = x.law_of(policy, state, at)
        decision = x.decide(policy, state, at)
        if t >= horizon:
            assert law.tolist() == [1.0, 0.0, 0.0]
        elif t == horizon - 1:
            assert state.account.spent[0] <= 2.0 * horizon
            assert horizon < 500 or state.account.spent[0] >= 0.98 * 2.0 * horizon
        tell(policy, state, at, decision, [0.1, 0.4, 0.9][decision.action] + 0.1 * (t % 3), None)


def test_what_was_saved_is_spent_later() -> None:
    """For 250 decisions there is the cheapest arm alone; with a horizon the others are then taken more often."""
    spent = {}
    for horizon in (500, None):
        policy, state = fresh(paced(limit=2.0, cost=COST, horizon=horizon), Problem(3))
        for t in range(500):
            at = x.instance(t, available=np.array([True, t >= 250, t >= 250]))
            decision = x.decide(policy, state, at)
            tell(policy, state, at, decision, [0.1, 0.4, 0.9][decision.action] + 0.1 * (t % 3), None)
        spent[horizon] = float(state.account.spent[0])
    assert 980.0 <= spent[500] <= 1000.0
    assert spent[None] < 830.0


def test_actions_of_a_call_tell_their_cost_by_a_feature() -> None:
    """Positions mean nothing: the dear action is another one in each call."""
    problem = Problem(3, (3, 2))
    policy, state = fresh(paced(limit=2.0, cost=None, cost_feature=1), problem)
    rng = np.random.default_rng(8)
    taken = []
    for t in range(600):
        context = np.column_stack([np.ones(3), rng.permutation(COST)])
        at = x.instance(t, context)
        decision = x.decide(policy, state, at)
        taken.append(context[decision.action, 1])
        tell(policy, state, at, decision, 0.1 * taken[-1] + 0.1 * float(rng.normal()), None)
    assert state.account.spent[0] == sum(taken)
    overdraft = float(state.account.overdraft[0])
    assert 1190.0 <= sum(taken) <= 2.0 * (600.0 + overdraft)
    assert overdraft < 30.0
    assert set(taken[300:]) >= {1.0, 6.0}


def test_costs_that_come_late_are_paid_back() -> None:
    policy, state = fresh(paced(limit=2.0), Problem(3))
    decisions = [(x.instance(t), x.decide(policy, state, x.instance(t))) for t in range(50)]
    before = float(state.account.spent[0])
    for at, decision in decisions:
        tell(policy, state, at, decision, 0.5, 3.0 * COST[decision.action])
    assert state.account.spent[0] == pytest.approx(3.0 * before, rel=1e-12)
    assert x.law_of(policy, state, x.instance(50))[0] > 0.9


def test_it_takes_note_and_knows_its_law_whatever_is_inside() -> None:
    unknown = {"name": "linear_thompson", "params": {"propensities": False}}
    policy = paced(unknown)
    assert protocol.marks(policy.params) and protocol.has_law(policy.params)
    assert not protocol.marks(catalog.make("budget", policy="squarecb", cost=COST, limit=2.0).params)
    around = catalog.make("floor", policy=policy, minimum=0.1)
    assert protocol.marks(around.params)
    _, state = fresh(around, Problem(3))
    for t in range(300):
        x.decide(around, state, x.instance(t))
    assert state.inner.account.spent[0] <= 1.1 * 2.0 * 300  # what the floor spends raises the price


def test_constants_tell_the_account() -> None:
    policy, state = fresh(paced(limit=2.0), Problem(3))
    assert policy.constants is not None
    for t in range(30):
        x.decide(policy, state, x.instance(t))
    told = policy.constants(policy.params, state)
    assert told["spent"].value == state.account.spent[0]
    assert told["overdraft"].value == 2.0 * state.account.overdraft[0]
    assert told["price"].value == 0.0  # nothing was earned


def test_arms_may_join_where_they_have_a_cost() -> None:
    policy, state = fresh(paced("squarecb", cost=[*COST, 3.0]), Problem(3))
    x.decide(policy, state, x.instance(0))
    tell(policy, state, x.instance(0), Decision(1, 0.5), 1.0, 4.0)
    larger = grown(policy, state, Problem(4))
    assert larger.costs.mean.tolist() == [1.0, 3.0, 6.0, 3.0]
    assert larger.account.spent[0] == state.account.spent[0] > 0.0
    with pytest.raises(InvalidInput, match="one per arm"):
        grown(policy, state, Problem(5))


@pytest.mark.slow
@pytest.mark.jit
def test_all_sorts_run_compiled() -> None:
    """A model for all contexts, one around a change, the floor around; compiled as in Python."""
    adaptive = {"name": "adaptive", "params": {"policy": {"name": "squarecb", "params": {}}}}
    world = envs.make("priced", env={"name": "bernoulli", "params": MODELS}, cost=PRICES)
    for policy in (paced(adaptive, cost=PRICES, limit=0.1), catalog.make("floor", policy=paced(), minimum=0.01)):
        state = policy.init(policy.params, world.problem)
        assert simulate(policy, world, horizon=300, seed=1).reward[0, -1] > 200
        key = Key(run_key(1, 0, POLICY), 0)
        python = loop.decide.python(policy.params, state, x.instance(0), key)
        again = policy.init(policy.params, world.problem)
        assert tuple(python) == tuple(loop.decide(policy.params, again, x.instance(0), key))


@pytest.mark.parametrize(
    ("inner", "more", "code", "words"),
    [
        ("exp3_ix", {"cost": COST}, "no_prediction", "squarecb"),
        ("uniform", {"cost": COST}, "no_prediction", "budget"),
        ("king", {"cost": COST}, "no_arms", "squarecb"),
        ("squarecb", {"cost": None}, "bad_param", "one of them"),
        ("squarecb", {"cost": COST, "cost_feature": 1}, "bad_param", "one of them"),
        ("squarecb", {"cost": [1.0, -1.0, 2.0]}, "bad_param", "cost"),
        ("squarecb", {"cost": None, "cost_feature": -1}, "bad_param", "cost_feature"),
        ("ucb1", {"cost": None, "cost_feature": 1}, "policy_does_not_fit", "cost"),
        ("squarecb", {"cost": COST, "limit": 0.0}, "bad_param", "limit"),
        ("squarecb", {"cost": COST, "horizon": 0}, "bad_param", "horizon"),
        ("squarecb", {"cost": COST, "window": 1}, "bad_param", "window"),
        ("squarecb", {"cost": COST, "gamma": 0.0}, "bad_param", "gamma"),
        ({"name": "floor", "params": {"policy": "squarecb"}}, {"cost": COST}, "wrapper_in_paced_budget", "floor"),
        (
            {"name": "paced_budget", "params": {"policy": "squarecb", "cost": COST, "limit": 2.0}},
            {"cost": COST},
            "wrapper_in_paced_budget",
            "inside",
        ),
    ],
)
def test_what_cannot_be_wrapped_is_refused(inner: Any, more: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as refusal:
        catalog.make("paced_budget", policy=inner, **{"limit": 2.0, **more})
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("problem", "more", "code"),
    [
        (Problem(4), {"cost": COST}, "bad_cost"),
        (Problem(3), {"cost": COST, "limit": 0.5}, "budget_too_low"),
        (Problem(3, (3, 2)), {"cost": None, "cost_feature": 2}, "bad_cost"),
    ],
)
def test_what_does_not_fit_the_problem_is_refused(problem: Problem, more: dict[str, Any], code: str) -> None:
    policy = catalog.make("paced_budget", policy="squarecb", **{"limit": 2.0, **more})
    with pytest.raises(InvalidInput) as refusal:
        policy.init(policy.params, problem)
    assert refusal.value.code == code


def test_contexts_of_another_kind_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="numbered once for all"):
        fitted(paced(), Problem(3, (3, 2)))
