"""The benchmark of worlds that change: each figure is looked at, the page shows all, and parts are what they say."""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULT: dict[str, Any] = json.loads((ROOT / "benchmarks" / "results" / "changes.json").read_text())
STREAMS = ("SEA", "LED", "Hyperplane", "Agrawal", "RandomRBFDrift")
# where a figure stands, one that is far from what was to be reached, and how many claims look at it
SPOILT: list[tuple[tuple[Any, ...], float, int]] = [
    *((("worlds", "digits moved", "default", part), 0.1, 1) for part in range(3)),
    *((("worlds", "two digits swapped", "default", part), 0.1, 1) for part in (1, 2)),
    *((("worlds", "five arms reversed", "default", part), 0.1, 1) for part in (1, 2)),
    (("worlds", "ten changes", "default", 0), 0.5, 1),
    (("worlds", "day and night", "default", 1), 0.5, 1),
    *((("worlds", name, "default", 0), 0.1, 2) for name in STREAMS),
    (("nothing_lost", "wine", "lost"), 0.1, 1),
    (("nothing_lost", "Bernoulli arms", "lost"), 0.001, 1),
    (("false_alarms", 0, "alarmed"), 300, 1),
    (("speed", "steps", "ucb1", "ratio"), 0.1, 1),
    (("speed", "steps", "linucb", "ratio"), 0.1, 1),
    (("speed", "http_us", "thompson_any", "more"), 100.0, 1),
]


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def held(module: Callable[[str], ModuleType], result: dict[str, Any]) -> dict[str, bool]:
    return {each["claim"]: each["holds"] for each in module("changes_claims").claims(result)}


def placed(result: dict[str, Any], place: tuple[Any, ...], value: float) -> dict[str, Any]:
    found = copy.deepcopy(result)
    *path, last = place
    part: Any = found
    for name in path:
        part = part[name]
    part[last] = value
    return found


@pytest.mark.parametrize(("place", "wrong", "looked_at"), SPOILT)
def test_a_figure_that_is_not_reached_is_missed(
    module: Callable[[str], ModuleType], place: tuple[Any, ...], wrong: float, looked_at: int
) -> None:
    spoilt = placed(RESULT, place, wrong)
    before, after = (module("changes_claims").claims(result) for result in (RESULT, spoilt))
    moved = [each for was, each in zip(before, after, strict=True) if each["value"] != was["value"]]
    assert len(moved) == looked_at
    assert not any(each["holds"] for each in moved)


def test_the_results_say_what_was_missed(module: Callable[[str], ModuleType]) -> None:
    assert held(module, RESULT) == {each["claim"]: each["holds"] for each in RESULT["claims"]}


def test_the_page_shows_every_world_and_what_was_missed(module: Callable[[str], ModuleType]) -> None:
    page = module("changes_tables").changes(RESULT)
    assert all(name in page for name in (*RESULT["worlds"], *RESULT["nothing_lost"]))
    assert all(f"| {row['world']} |" in page for row in RESULT["false_alarms"])
    assert all(each["claim"] in page for each in RESULT["claims"] if not each["holds"])


def test_what_is_earned_in_parts_comes_from_sums(module: Callable[[str], ModuleType]) -> None:
    world = module("changing_worlds").worlds()["digits moved"]
    rate = np.where(np.arange(1, world.horizon + 1) <= 1797, 0.9, 0.5)
    sums = np.cumsum(rate)[np.array(world.stops) - 1]
    assert world.of_parts(sums) == pytest.approx([0.9, 0.5, 0.5])


def test_a_policy_that_is_told_goes_on_where_its_world_comes_again(module: Callable[[str], ModuleType]) -> None:
    worlds = module("changing_worlds")
    flip = {"env": {"name": "bernoulli", "params": {"mean": [0.0, 1.0]}}, "every": 100, "orders": [[0, 1], [1, 0]]}
    world = worlds.World(
        {"first": (0, 100), "second": (100, 200), "again": (200, 400)},
        1.0,
        lambda _: worlds.envs.make("switching", **flip),
        lambda _: [(100, 1), (200, 0), (300, 1)],
        contexts=False,
    )
    policy = {"name": "ucb1", "params": {"alpha": 0.01}}
    told, alone = (world.of_parts(worlds.earned(world, policy, 0, told=told)) for told in (True, False))
    assert told[2] == pytest.approx(1.0)
    assert told[0] == alone[0]
    assert alone[1] < told[1]


def test_vowpal_wabbit_meets_the_rewards_of_all_arms(module: Callable[[str], ModuleType]) -> None:
    world = module("changing_worlds").worlds()["digits moved"]
    small = module("changing_worlds").World({"all": (0, 40)}, 1.0, world.env, world.changes)
    contexts, rewards = module("changes_vw").table_of(small, 0)
    env = world.env(0)
    label = {
        row.tobytes(): int(right) for row, right in zip(env.params.inner.features, env.params.inner.label, strict=True)
    }
    assert rewards.sum(axis=1).tolist() == [1.0] * 40
    assert rewards.argmax(axis=1).tolist() == [label[row.tobytes()] for row in contexts]


def test_arms_that_join_are_known_to_the_run(module: Callable[[str], ModuleType]) -> None:
    alarms = module("changes_alarms")
    policy = alarms.adaptive({"name": "ucb1", "params": {}})
    assert alarms.joining(policy, False, 400)(0) == 0
