"""Switching: which arm of the environment inside each arm is, what it pays, when it is there, and what is refused."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from onearm.engine.columns import every_mask
from onearm.engine.draws import NATURE, run_key
from onearm.engine.errors import InvalidInput
from onearm.engine.protocol import observe, regret, respond
from onearm.engine.simulation import Simulation
from onearm.engine.vocabulary import DECIDE, Environment, Instance, Key
from onearm.envs import catalog
from onearm.policies import catalog as policies

RUN = run_key(1, 0, NATURE)
BERNOULLI = {"name": "bernoulli", "params": {"mean": [0.1, 0.5, 0.9]}}
LINEAR = {"name": "linear", "params": {"arms": 5, "dimension": 3, "min_actions": 2}}
TABLE = {"name": "logged_table", "params": {"reward": [[1, None, 0.5], [0.25, 2, None]], "context": [[1], [2]]}}
SWAP = [[0, 1], [1, 0]]
COINS = {"name": "bernoulli", "params": {"mean": [0.0, 1.0]}}


class Row(NamedTuple):
    """What an environment shows at a decision, and what each arm that is there pays and lacks."""

    context: list[float]
    available: list[bool]
    paid: list[tuple[float, int] | None]
    regret: list[float | None]


def rows(env: Environment, steps: int) -> list[Row]:
    state = env.init(env.params, env.problem, RUN)
    context, available = np.zeros(env.problem.context_shape), np.ones(env.problem.n_arms, np.bool_)
    found = []
    for t in range(steps):
        observe(env.params, state, t, context, available, Key(RUN, t))
        instance = Instance(t, context, available)
        paid: list[Any] = [None] * len(available)
        lacks: list[Any] = [None] * len(available)
        for a in np.flatnonzero(available):
            paid[a] = respond(env.params, state, instance, a, np.zeros(0), Key(RUN, t))
            lacks[a] = regret(env.params, state, instance, a)
        found.append(Row(context.tolist(), available.tolist(), paid, lacks))
    return found


def moved(row: Row, order: list[int]) -> Row:
    """Return what is shown where each arm is another one."""
    return Row(row.context, *([part[arm] for arm in order] for part in row[1:]))  # type: ignore[arg-type]


def world_of(env: Environment, orders: list[list[int]], steps: int) -> list[int]:
    """Return which world each decision is of, where only one pays what was paid."""
    inside = rows(catalog.from_spec(env.spec["params"]["env"]), steps)
    pairs = zip(inside, rows(env, steps), strict=True)
    worlds = [[w for w, order in enumerate(orders) if moved(a, order) == b] for a, b in pairs]
    assert all(len(found) == 1 for found in worlds)
    return [found[0] for found in worlds]


@pytest.mark.parametrize("inner", [BERNOULLI, LINEAR, TABLE])
@pytest.mark.parametrize(
    ("params", "world"),
    [
        ({"at": [7, 12]}, lambda t: (t >= 7) + (t >= 12)),
        ({"at": [1]}, lambda t: int(t >= 1)),
        ({"every": 6}, lambda t: t // 6),
        ({"every": 1}, lambda t: t),
    ],
)
def test_an_arm_is_the_one_inside_that_the_order_names(inner: Any, params: dict[str, Any], world: Any) -> None:
    """What it pays, what it lacks, and whether it is there: after the last order the first comes again."""
    env, inside = catalog.make("switching", env=inner, **params), catalog.from_spec(inner)
    k = env.problem.n_arms
    orders = [[(a + w) % k for a in range(k)] for w in range(k)]
    seen = rows(env, 30)
    assert seen == [moved(row, orders[world(t) % k]) for t, row in enumerate(rows(inside, 30))]
    assert all(row.available == [True] * k for row in seen) == (inner is BERNOULLI)


def test_orders_say_which_arm_each_is_and_take_turns() -> None:
    orders = [[2, 0, 1], [0, 2, 1]]
    env = catalog.make("switching", env=BERNOULLI, every=4, orders=orders)
    inside = rows(catalog.from_spec(BERNOULLI), 20)
    assert rows(env, 20) == [moved(row, orders[t // 4 % 2]) for t, row in enumerate(inside)]


@pytest.mark.parametrize(("shift", "n"), [(1, 6), (3, 2), (-1, 6), (4, 3), (8, 3), (-(10**9), 3)])
def test_a_shift_moves_all_arms_by_so_many_places(shift: int, n: int) -> None:
    env = catalog.make("switching", env={"name": "bernoulli", "params": {"mean": [0.5] * 6}}, every=5, shift=shift)
    assert env.params.order.tolist() == [[(a + w * shift) % 6 for a in range(6)] for w in range(n)]


def test_the_largest_shift_is_exact() -> None:
    n, shift = 2003, 2**53 - 1
    env = catalog.make("switching", env={"name": "bernoulli", "params": {"mean": [0.5] * n}}, every=5, shift=shift)
    assert env.params.order[:, 1].tolist() == [(1 + w * shift) % n for w in range(n)]


def test_many_arms_need_no_more_orders_than_there_are_worlds() -> None:
    many = {"name": "bernoulli", "params": {"mean": [0.5] * 100_000}}
    assert catalog.make("switching", env=many, at=[10, 20], shift=7).params.order.shape == (3, 100_000)
    with pytest.raises(InvalidInput, match="100000 arms, which would stand in 100000 orders"):
        catalog.make("switching", env=many, every=10)


def test_all_but_the_arms_is_the_environment_inside() -> None:
    inner = {"name": "delayed", "params": {"env": LINEAR, "delay": 4}}
    env, inside = catalog.make("switching", env=inner, at=[5]), catalog.from_spec(inner)
    assert (env.problem, env.delay_max) == (inside.problem, 4)
    assert env.regret_kind == f"{inside.regret_kind}, wherever it stands"
    unknown = catalog.make("switching", env={"name": "heat_equation", "params": {"side": 4, "points": 3}}, at=[5])
    assert unknown.regret_kind is None


def late_inside(delay: int) -> Environment:
    late = {"name": "delayed", "params": {"env": COINS, "delay": delay}}
    return catalog.make("switching", env=late, at=[10], orders=SWAP)


def late_outside(delay: int) -> Environment:
    switching = {"name": "switching", "params": {"env": COINS, "at": [10], "orders": SWAP}}
    return catalog.make("delayed", env=switching, delay=delay)


@pytest.mark.parametrize("late", [late_inside, late_outside])
def test_late_rewards_are_those_of_the_world_that_was_decided_in(late: Any) -> None:
    log = Simulation(policies.make("uniform"), late(7), horizon=30, seed=3).advance_logged(30)
    learned = log.kind != DECIDE
    assert learned.sum() == 30 - 7
    for number, arm, reward in zip(log.number[learned], log.action[learned], log.reward[learned], strict=True):
        assert reward == (arm == 1 if number < 10 else arm == 0)
    decided = np.flatnonzero(log.kind == DECIDE)
    first = {int(log.number[row]): row for row in np.flatnonzero(learned)}
    assert all((decided < first[number]).sum() == number + 8 for number in range(23))


@pytest.mark.jit
def test_compiled_it_is_what_python_makes_of_it() -> None:
    inner = {"name": "delayed", "params": {"env": LINEAR, "delay": 3, "law": "geometric"}}
    env = catalog.make("switching", env=inner, every=9, over=5)
    log = Simulation(policies.make("uniform"), env, horizon=60, seed=1).advance_logged(60)
    decided = log.kind == DECIDE
    seen = rows(env, 60)
    assert every_mask(log)[decided].tolist() == [row.available for row in seen]
    for number, arm, reward in zip(log.number[~decided], log.action[~decided], log.reward[~decided], strict=True):
        assert reward == seen[number].paid[arm][0]  # type: ignore[index]


def test_a_change_that_takes_a_while_comes_with_a_probability_that_rises() -> None:
    env = catalog.make("switching", env=COINS, at=[400, 2400], orders=SWAP, over=1600)
    world = np.array(world_of(env, SWAP, 4_200))
    assert world[:400].sum() == 0
    assert world[1999:2400].all()  # decision 1600 of the change is the first that is surely of the new world
    assert not world[3999:].any()
    for begin, share in ((400, world), (2400, 1 - world)):
        for quarter in range(4):
            part = share[begin + 400 * quarter : begin + 400 * (quarter + 1)]
            expected = (quarter + 0.5) / 4
            assert abs(part.mean() - expected) < 4 * np.sqrt(expected * (1 - expected) / 400)


def test_worlds_that_pass_into_each_other_all_the_time() -> None:
    orders = [[0, 1, 2], [1, 2, 0], [2, 0, 1]]
    table = {"name": "logged_table", "params": {"reward": [[1, 2, 3]]}}
    env = catalog.make("switching", env=table, every=50, over=50)
    worlds = np.array(world_of(env, orders, 600)).reshape(12, 50)
    assert worlds[:, -1].tolist() == [w % 3 for w in range(12)]
    assert set(worlds[0]) == {0}
    for w in range(1, 12):
        assert set(worlds[w]) == {w % 3, (w - 1) % 3}
        assert 10 < (worlds[w] == w % 3).sum() < 40


def test_the_short_form_of_its_spec_is_that_of_the_command_line() -> None:
    text = 'switching:{"env":"classification","params":{"dataset":"iris"},"at":[150],"shift":1}'
    inner = {"name": "classification", "params": {"dataset": "iris"}}
    assert catalog.parse(text).spec == catalog.make("switching", env=inner, at=[150], shift=1).spec


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({}, "give one of them"),
        ({"at": [5], "every": 5}, "give one of them"),
        ({"every": 0}, "every is 0"),
        ({"every": 2.0}, "every is 2.0"),
        ({"every": True}, "every is True"),
        ({"every": 2**60}, "1 to 2\\^53"),
        ({"at": []}, r"at is \[\]"),
        ({"at": 5}, "at is 5"),
        ({"at": "57"}, "at is '57'"),
        ({"at": [0, 5]}, r"at is \[0, 5\]"),
        ({"at": [5, 5]}, "increasing"),
        ({"at": [7, 5]}, "increasing"),
        ({"at": [5, 7.5]}, "whole"),
        ({"at": [5, None]}, "whole"),
        ({"at": [2**70]}, "from 1 to 2\\^53"),
        ({"at": [5], "shift": 0}, "shift is 0: it must be a whole number of places that moves the 3 arms"),
        ({"at": [5], "shift": -6}, "shift is -6"),
        ({"at": [5], "shift": 1.0}, "shift is 1.0"),
        ({"at": [5], "shift": True}, "shift is True"),
        ({"at": [5], "orders": []}, "two or more are needed"),
        ({"at": [5], "orders": [[0, 1, 2]]}, "two or more are needed"),
        ({"at": [5], "orders": [[0, 1, 2], [0, 1, 1]]}, "every number from 0 to 2 once"),
        ({"at": [5], "orders": [[0, 1, 2], [0, 1]]}, "every number from 0 to 2 once"),
        ({"at": [5], "orders": [[0, 1, 2], [0, 1, 2.0]]}, "every number from 0 to 2 once"),
        ({"at": [5], "orders": [[0, 1, 2], 3]}, "every number from 0 to 2 once"),
        ({"at": [5], "orders": "012"}, "two or more are needed"),
        ({"at": [5, 9], "over": 5}, "from 1 to the 4 between two changes"),
        ({"every": 9, "over": 10}, "from 1 to the 9 between two changes"),
        ({"every": 9, "over": 0}, "over is 0"),
        ({"every": 9, "over": 1.5}, "over is 1.5"),
        ({"env": {"name": "sea", "params": {"dimension": 3}}, "at": [5]}, "numbered once for all"),
        ({"env": {"name": "linear", "params": {"action_features": True}}, "at": [5]}, "numbered once for all"),
        ({"env": {"name": "named", "params": {"env": BERNOULLI}}, "at": [5]}, "numbered once for all"),
        ({"env": "best_arm", "at": [5]}, "numbered once for all"),
        ({"env": "arm_stream", "at": [5]}, "numbered once for all"),
        ({"env": {"name": "bernoulli", "params": {"mean": [0.5]}}, "at": [5]}, "moves the 1 arms"),
    ],
)
def test_bad_params_are_refused(params: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        catalog.make("switching", **({"env": BERNOULLI} | params))


@pytest.mark.parametrize("around", [{"name": "scaled", "params": {}}, {"name": "delayed", "params": {"delay": 2}}])
def test_what_switches_already_is_refused_at_any_depth(around: dict[str, Any]) -> None:
    inner = {"name": "switching", "params": {"env": BERNOULLI, "at": [5]}}
    for env in (inner, {"name": around["name"], "params": around["params"] | {"env": inner}}):
        with pytest.raises(InvalidInput, match="switches already"):
            catalog.make("switching", env=env, at=[7])
