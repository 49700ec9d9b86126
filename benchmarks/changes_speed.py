"""What the watch costs: steps a second beside those without it, and microseconds of a decision that is served."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from changes_alarms import adaptive
from changing_worlds import SEED, Spec
from python_interface import pairs_per_second

import onearm
from onearm.api.cli.serve import quiet_garbage_collector
from onearm.api.http.app import create_app
from onearm.engine.simulation import Simulation
from onearm.engine.storage.store import Store
from onearm.envs import catalog as envs
from onearm.policies import catalog as policies

TEN: Spec = {"name": "bernoulli", "params": {"mean": [0.1, 0.2, 0.3, 0.4, 0.6, 0.15, 0.25, 0.35, 0.45, 0.5]}}
WIDE: Spec = {"name": "linear", "params": {"dimension": 32}}
# name: params, the world, and steps of a run
STEPS: dict[str, tuple[dict[str, Any], Spec, int]] = {
    "ucb1": ({}, TEN, 1_000_000),
    "thompson_any": ({"propensities": False}, TEN, 300_000),
    "linucb": ({}, WIDE, 50_000),
    "fourier_softmax": ({}, WIDE, 5_000),
}
SERVED = {"ucb1": 0, "thompson_any": 0, "linucb": 32, "fourier_softmax": 32}  # numbers of a context
ARMS = 10
EXPERIMENTS = "/v1/experiments"
Ask = Callable[[str, bytes], Awaitable[bytes]]


def speed(rounds: int, seconds: float) -> dict[str, Any]:
    """Return ratios of steps a second, and microseconds more of a pair: from Python, and by HTTP in this process."""
    return {
        "steps": {name: _ratio(name, rounds) for name in STEPS},
        "python_us": {name: _python(name, rounds, seconds) for name in SERVED},
        "http_us": asyncio.run(_served(rounds, seconds)),
    }


def _ratio(name: str, rounds: int) -> dict[str, float]:
    params, world, steps = STEPS[name]
    plain: Spec = {"name": name, "params": params}
    runs = [_started(policy, world, steps) for policy in (plain, adaptive(plain))]
    rates = np.array([[_rate(run, steps) for run in runs] for _ in range(rounds)])
    middle = np.median(rates, axis=0)
    return {
        "plain": float(middle[0]),
        "adaptive": float(middle[1]),
        "ratio": float(np.median(rates[:, 1] / rates[:, 0])),
    }


def _started(policy: Spec, world: Spec, steps: int) -> Simulation:
    made = policies.from_spec(policy)
    simulation = Simulation(made, envs.from_spec(world), horizon=2**40, seed=SEED)
    simulation.advance(steps // 2)
    return simulation


def _rate(simulation: Simulation, steps: int) -> float:
    start = time.process_time()
    simulation.advance(steps)
    return steps / (time.process_time() - start)


def _python(name: str, rounds: int, seconds: float) -> dict[str, float]:
    """Return microseconds of CPU of `decide` and `learn`, without the watch and with it."""
    engines = []
    for policy in _two(name):
        engine = onearm.open(policy, arms=ARMS, context=SERVED[name], seed=SEED)
        for entry in (engine._select, engine._update):
            entry.wait()
        engines.append(engine)
    rows = list(np.random.default_rng(SEED).normal(size=(4096, SERVED[name]))) if SERVED[name] else [None] * 4096
    for engine in engines:
        pairs_per_second(engine, rows, seconds)
    return _more([[1e6 / pairs_per_second(engine, rows, seconds) for engine in engines] for _ in range(rounds)])


def _two(name: str) -> tuple[Spec, Spec]:
    plain: Spec = {"name": name, "params": {}}
    return plain, adaptive(plain)


def _more(us: list[list[float]]) -> dict[str, float]:
    found = np.array(us)
    plain, watched = np.median(found, axis=0).tolist()
    return {"plain": plain, "adaptive": watched, "more": float(np.median(found[:, 1] - found[:, 0]))}


async def _served(rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return microseconds of CPU of a decision and its reward, answered after their commits by a service in here."""
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(Store.open(f"sqlite:///{folder}/run.db"))
        quiet_garbage_collector()
        async with app.router.lifespan_context(app) as state:
            ask = functools.partial(_post, app, state or {})
            return {name: await _http(ask, name, rounds, seconds) for name in SERVED}


async def _http(ask: Ask, name: str, rounds: int, seconds: float) -> dict[str, float]:
    paths = []
    for i, policy in enumerate(_two(name)):
        problem = {"context": {"kind": "dense", "length": SERVED[name]}} if SERVED[name] else {}
        arms = [{"id": f"arm{arm}"} for arm in range(ARMS)]
        body = {"experiment_id": f"{name}-{i}", "policy": policy, "arms": arms, "problem": problem}
        await ask(EXPERIMENTS, json.dumps(body).encode())
        paths.append(f"{EXPERIMENTS}/{name}-{i}/decisions")
    context = np.random.default_rng(SEED).normal(size=SERVED[name]).round(3).tolist()
    asked = json.dumps({"context": context} if SERVED[name] else {}).encode()
    for _ in range(2):
        for path in paths:
            await _pairs(ask, path, asked, 0.1)
        await asyncio.to_thread(_until_compiled)
    return _more([[await _pairs(ask, path, asked, seconds) for path in paths] for _ in range(rounds)])


def _until_compiled() -> None:
    """Wait until all is compiled that was asked for: until then a policy answers as Python."""
    for thread in threading.enumerate():
        if thread.name == "onearm-compiling":
            thread.join()


async def _pairs(ask: Ask, path: str, asked: bytes, seconds: float) -> float:
    pairs, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(20):
            decision = json.loads(await ask(path, asked))["decision_id"]
            await ask(f"{path}/{decision}/reward", b'{"value": 0.0}' if pairs % 3 else b'{"value": 1.0}')
            pairs += 1
    return spent / pairs * 1e6


async def _post(app: Any, state: dict[str, Any], path: str, body: bytes) -> bytes:
    """Ask the application at once, without a client of HTTP, which would take longer than it does."""
    headers = {b"host": b"here", b"content-length": str(len(body)).encode(), b"content-type": b"application/json"}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": list(headers.items()),
        "client": ("here", 50000),
        "server": ("here", 80),
        "state": dict(state),
    }
    asked, parts = [body], []
    status = 0

    async def receive() -> dict[str, Any]:
        if not asked:
            await asyncio.Event().wait()  # whoever asks stays until it is answered
        return {"type": "http.request", "body": asked.pop(), "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(bytes(message.get("body", b"")))

    await app(scope, receive, send)
    answer = b"".join(parts)
    assert status < 300, answer
    return answer
