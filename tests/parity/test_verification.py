"""A log that is not whole is named: by verify, and by whoever reads it."""

from __future__ import annotations

import json
import sqlite3
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onearm.api.cli.main import run
from onearm.api.experiment.context_intake import ContextIntake
from onearm.api.experiment.definition import Definition
from onearm.api.experiment.spec import Spec
from onearm.api.service.company import Company
from onearm.api.service.history import History
from onearm.api.service.verification import Verification, verify
from onearm.engine import snapshot
from onearm.engine.columns import empty, take
from onearm.engine.domain import ball
from onearm.engine.errors import Damaged, InvalidInput
from onearm.engine.problem import fitted
from onearm.engine.simulation import Simulation
from onearm.engine.storage.records import Event
from onearm.engine.storage.store import Store
from onearm.engine.vocabulary import DECIDE, LEARN, Columns, Policy, Problem
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

STEPS = 30


def simulated() -> tuple[Simulation, Columns]:
    simulation = Simulation(policies.make("epsilon_greedy"), envs.make("bernoulli"), horizon=STEPS, seed=3)
    return simulation, simulation.advance_logged(STEPS)


def company_of(policy: Policy, problem: Problem, seed: int) -> Company:
    """The one policy of an experiment, before any event."""
    spec = Definition("e", fitted(policy, problem), problem, (), seed, ContextIntake())
    return Company(spec, History(spec, ()), spec.policy.init(spec.policy.params, problem))


def verified(*pages: Columns) -> Verification:
    simulation, _ = simulated()
    return verify(company_of(policies.make("epsilon_greedy"), simulation.problem, 3), pages)


def test_a_whole_log_verifies_in_pages_of_any_size() -> None:
    _, columns = simulated()
    whole = verified(columns)
    assert (whole.events, whole.decisions, whole.first_difference, whole.note) == (2 * STEPS, STEPS, None, None)
    assert verified(take(columns, slice(0, 7)), take(columns, slice(7, None))) == whole


@pytest.mark.parametrize(
    ("rows", "number", "note"),
    [
        ([row for row in range(2 * STEPS) if row not in (20, 21)], 10, "decision 10 is missing"),
        ([*range(12), *range(13, 2 * STEPS)], 6, "decision 6"),
        ([*range(22), 21, *range(22, 2 * STEPS)], 10, "decision 10 has two rewards"),
        ([*range(2 * STEPS), 5], 2, "decision 2 has two rewards"),
    ],
)
def test_a_decision_that_is_not_on_record_whole_is_named(rows: list[int], number: int, note: str) -> None:
    _, columns = simulated()
    broken = take(columns, np.array(rows))
    for pages in ((broken,), (take(broken, slice(0, 30)), take(broken, slice(30, None)))):
        found = verified(*pages)
        assert found.first_difference == number
        assert note in (found.note or "")


@pytest.mark.parametrize("field", ["action", "propensity"])
def test_a_reward_that_repeats_another_decision_is_named(field: str) -> None:
    _, columns = simulated()
    changed = getattr(columns, field).copy()
    changed[41] = 1 if field == "propensity" and changed[41] != 1 else (changed[41] + 1) % 3
    found = verified(columns._replace(**{field: changed}))
    assert found.first_difference == 20
    assert found.note == "the reward of decision 20 repeats another action or propensity"


def test_a_reward_that_repeats_another_vector_is_named_and_pages_of_any_size_are_one_log() -> None:
    policy = policies.make("ftrl")
    world = envs.make("delayed", env=envs.make("sea", dimension=3), delay=3, law="geometric")
    run = Simulation(policy, world, horizon=STEPS, seed=3)
    columns = run.advance_logged(STEPS)
    for size in (1, 7, 1000):
        pages = [take(columns, slice(start, start + size)) for start in range(0, len(columns.kind), size)]
        found = verify(company_of(policy, run.problem, 3), pages)
        assert (found.events, found.decisions, found.first_difference) == (len(columns.kind), STEPS, None)
        assert found.digest == snapshot.digest(run.state)
    row = int(np.flatnonzero(columns.kind == LEARN)[9])
    changed = columns.action.copy()
    changed[row, 1] = np.nextafter(changed[row, 1], 1.0)
    found = verify(company_of(policy, run.problem, 3), [columns._replace(action=changed)])
    assert found.first_difference == columns.number[row]
    assert found.note == f"the reward of decision {columns.number[row]} repeats another action or propensity"


def test_the_memory_of_verify_does_not_grow_with_the_length_of_vectors() -> None:
    problem = Problem(0, domain=ball(250), feedback="losses")
    policy = policies.make("ftrl")

    def pages(n: int) -> Iterator[Columns]:
        for start in range(0, n, 4):
            page = empty(4, problem)
            page.number[:], page.propensity[:] = np.arange(start, start + 4), 1.0
            yield page

    verify(company_of(policy, problem, 1), pages(8))
    tracemalloc.start()
    found = verify(company_of(policy, problem, 1), pages(200))
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.decisions, found.first_difference) == (200, None)
    assert taken < 200 * 2000 / 5  # the vectors take 2000 bytes each


def database(folder: Path, events: int) -> str:
    """Return the URL of a database with so many events of decisions and rewards."""
    url = f"sqlite:///{folder}/run.db"
    store = Store.open(url)
    spec = Spec.from_json({"experiment_id": "e", "arms": [{"id": "a"}], "policy": {"name": "ucb1"}})
    key = store.add_experiment("e", json.dumps(spec.to_json()), b"", json.dumps(spec.versions()), 0).key
    log = []
    for number in range(events // 2):
        log.append(Event(key, 2 * number + 1, DECIDE, number, 0, 1.0))
        log.append(Event(key, 2 * number + 2, LEARN, number, 0, 1.0, 1.0, reward_id=""))
    store.append(log)
    assert store.last(key) == (events, events // 2)
    store.close()
    return url


def test_after_a_clean_stop_the_file_alone_holds_everything(tmp_path: Path) -> None:
    database(tmp_path, 20)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["run.db", "run.db.lock"]


def test_a_gap_in_the_log_ends_verify_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = database(tmp_path, 20)
    assert run(["verify", "--database", url]) == 0
    with sqlite3.connect(tmp_path / "run.db") as connection:
        connection.execute("DELETE FROM event WHERE seq = 8")
    connection.close()
    store = Store.open(url, write=False)
    with pytest.raises(Damaged, match="lacks events between seq 0 and 20"):
        list(store.columns(1, Problem(1)))
    store.close()
    capsys.readouterr()
    assert run(["verify", "--database", url]) == 1
    assert "lacks events" in capsys.readouterr().err


def test_simulate_leaves_propensities_out_unless_asked(capsys: pytest.CaptureFixture[str]) -> None:
    def params(*more: str) -> Any:
        assert run(["simulate", "--env", "bernoulli", "--horizon", "3", "--json", *more]) == 0
        found = json.loads(capsys.readouterr().out)["runs"][0]["params"]
        return found.get("policy", {"params": found})["params"]["propensities"]

    assert params("--policy", "thompson_beta") is False
    assert params("--policy", "thompson_beta", "--propensities") is True
    assert params("--policy", 'thompson_beta:{"propensities":true}') is True
    assert params("--policy", 'adaptive:{"policy":"thompson_any"}') is False
    assert params("--policy", 'floor:{"policy":"thompson_any"}') is True, "a floor mixes them"


@pytest.mark.parametrize("name", ["thompson_beta", "thompson_normal"])
def test_more_arms_than_a_decision_should_wait_for_are_refused(name: str) -> None:
    exact, sampled = policies.make(name), policies.make(name, propensities=False)
    with pytest.raises(InvalidInput, match="2001 arms: exact propensities are computed for up to 2000"):
        exact.init(exact.params, Problem(2001))
    sampled.init(sampled.params, Problem(2001))
