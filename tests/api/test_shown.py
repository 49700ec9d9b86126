"""What people hold says what it is: no address in memory, and no key."""

from __future__ import annotations

import numpy as np

import onearm
from onearm.api import arms_once, solver
from onearm.client import AsyncClient, Client


def test_clients_say_where_their_service_is_and_nothing_of_the_key() -> None:
    with Client("http://127.0.0.1:1", key="oa_secret") as client:
        assert repr(client) == "Client('http://127.0.0.1:1')"
        assert repr(client.experiment("banner")) == "Arms('banner', at='http://127.0.0.1:1')"
        assert repr(client.vectors("shares")) == "Vectors('shares', at='http://127.0.0.1:1')"
    assert repr(AsyncClient("http://127.0.0.1:1", key="oa_secret")) == "AsyncClient('http://127.0.0.1:1')"


def test_tuners_and_streams_say_how_far_they_are() -> None:
    tuner = solver.Tuner(values=[1.0, 1.5])
    trial = tuner.trial()
    assert repr(trial) == "Trial(not begun, iterations=None, converged=True)"
    with trial:
        trial.iterations = 3
    assert repr(trial) == f"Trial(value={trial.value!r}, iterations=3, converged=True)"
    assert repr(tuner) == "Tuner(policy='tsallis_inf', values=2, proposals=1)"
    tuners = solver.Tuners(values=[1.0, 1.5])
    assert tuners["a"] is not None and repr(tuners) == "Tuners(policy='tsallis_inf', keys=1)"
    assert repr(arms_once.Stream(trials=10, arms=3)) == "Stream(rule='early_drop', held=0, done=False)"
    solves = solver.solve_sequence([(2.0 * np.eye(3), np.ones(3))] * 2)
    next(solves)
    assert repr(solves).startswith(f"Solves(spent={solves.spent}, tuners=Tuner")


def test_decisions_and_engines_say_what_they_are() -> None:
    engine = onearm.open("ucb1", ["a", "b"])
    assert "action_id='a'" in repr(engine.decide())
    assert repr(engine) == "Engine(policy='ucb1', decisions=1, rewards=0)"
