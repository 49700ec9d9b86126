"""What a decision of trained policies costs: in the engine, in C, one at a time from Python, and by NumPy."""

from __future__ import annotations

import ctypes
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from active_settings import SETTINGS, Setting
from c_loops import c_loops

import onearm
from onearm.engine.hardness.rollouts import roll_out
from onearm.engine.vocabulary import Array
from onearm.policies import artefacts, catalog
from onearm.policies.queries.mapo import network

SOURCE = Path(__file__).resolve().parents[1] / "reference_active.c"
ROLLOUTS = 4000
ALONE = 300  # decisions of what takes 10 us and more
C_LOOP = "thresholds"


def speed_of(rounds: int) -> dict[str, dict[str, float]]:
    """Return microseconds a decision, medians of `rounds`, and what the engine takes by a C loop."""
    found: dict[str, dict[str, float]] = {}
    for setting in SETTINGS.values():
        means = easy_means(setting)
        policy = catalog.make("mapo", play="sample")
        roll_out(policy, setting.problem, means, 1)  # compiles, or loads what was compiled

        def engine(setting: Setting = setting, means: Array = means, policy: Any = policy) -> None:
            roll_out(policy, setting.problem, means, ROLLOUTS)

        row = {"engine_us": took(engine, rounds) / (ROLLOUTS * setting.budget)}
        row["ask_us"], row["tell_us"] = alone(setting, rounds)
        found[setting.name] = row
    setting = SETTINGS[C_LOOP]
    with c_loops(SOURCE) as c:
        if c is not None:
            play = played_by(c, setting)
            c_us = took(play, rounds) / (ROLLOUTS * setting.budget)
            found[setting.name] |= {"c_us": c_us, "of_c": found[setting.name]["engine_us"] / c_us}
    found[setting.name]["numpy_us"] = by_numpy(setting, rounds)
    return found


def took(work: Callable[[], Any], rounds: int) -> float:
    """Return the median CPU time of some work in microseconds."""
    times = []
    for _ in range(rounds):
        started = time.thread_time()
        work()
        times.append(time.thread_time() - started)
    return 1e6 * statistics.median(times)


def easy_means(setting: Setting) -> Array:
    """Return the means of one instance, float64[1, n]."""
    n = setting.task.n_queries
    return np.where(np.arange(n) < n // 2, 0.6, -0.6)[np.newaxis]


def alone(setting: Setting, rounds: int) -> tuple[float, float]:
    """Return the microseconds of one ask and of one tell from Python."""
    asked, told = [], []
    for seed in range(rounds):
        for run in range(ALONE // setting.budget):
            engine = onearm.open(task=setting.task, horizon=setting.budget, policy="mapo", seed=1000 * seed + run)
            for _ in range(setting.budget):
                started = time.perf_counter()
                query = engine.ask()
                between = time.perf_counter()
                engine.tell(query, 1.0)
                told.append(time.perf_counter() - between)
                asked.append(between - started)
    return 1e6 * statistics.median(asked), 1e6 * statistics.median(told)


def played_by(c: ctypes.CDLL, setting: Setting) -> Callable[[], Array]:
    """Return what plays the shipped network out in C, and returns how often each cut was recommended."""
    artefact = artefacts.fitting(setting.problem)
    net: Any = network(artefact.architecture, artefact.task, artefact.budget, artefact.arrays)
    floats = [np.ascontiguousarray(array, np.float32) for array in (net.w1, net.b1, net.w2, net.b2, net.w3, net.b3)]
    means = easy_means(setting)[0]

    def play() -> Array:
        counts = np.zeros(setting.task.n_hypotheses, np.int64)
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*floats, means)]
        last = counts.ctypes.data_as(ctypes.c_void_p)
        c.play_out(*pointers, ctypes.c_long(setting.budget), ctypes.c_long(ROLLOUTS), ctypes.c_ulonglong(1), last)
        return counts

    return play


def by_numpy(setting: Setting, rounds: int) -> float:
    """Return the microseconds of one forward pass by NumPy."""
    artefact = artefacts.fitting(setting.problem)
    w = artefact.arrays
    x = np.ones(w["w1"].shape[1], np.float32)

    def numpy_pass() -> None:
        for _ in range(ALONE):
            first = np.maximum(w["w1"] @ x + w["b1"], 0)
            second = np.maximum(w["w2"] @ first + w["b2"], 0)
            logits = (w["w3"] @ second + w["b3"])[: setting.task.n_queries]
            law = np.exp(logits - logits.max())
            law /= law.sum()

    return took(numpy_pass, rounds) / ALONE
