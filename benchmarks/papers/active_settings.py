"""The problems that actively_learn.py plays, the policies that it compares, and how these are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from drawing import BLUE, DARK, GREEN, GREY, OLIVE, ORANGE, PURPLE

from onearm.engine.problem import query_problem
from onearm.engine.task import Task, best_arm, thresholds
from onearm.engine.trained.artefact import Artefact, unpack
from onearm.engine.vocabulary import Policy, Problem
from onearm.policies import artefacts, catalog

FOLDER = Path(__file__).resolve().parents[1] / "artefacts"  # of policies that are compared, and do not ship
LEVEL, PRIOR = "level", "prior"


class Setting(NamedTuple):
    """A problem, and how hard it may be."""

    name: str
    title: str
    task: Task
    budget: int
    levels: tuple[float, ...]
    baselines: tuple[str, ...]  # policies, as name or name:{json params}

    @property
    def problem(self) -> Problem:
        return query_problem(self.task, self.budget)


class Contender(NamedTuple):
    """A policy with what tables and plots call it."""

    key: str
    label: str
    policy: Policy
    colour: str
    dashed: bool = False


SETTINGS = {
    "arms": Setting(
        "arms",
        "best of 5 arms, 15 pulls, normal answers",
        best_arm(5),
        15,
        (3.0, 8.0, 20.0, 50.0),
        (
            "uniform_budget",
            "successive_halving",
            "sequential_elimination",
            "ucb_e",
            "lucb_budget",
            "top_two_thompson",
        ),
    ),
    "thresholds": Setting(
        "thresholds",
        "cut of 10 points, 20 labels",
        thresholds(10),
        20,
        (8.0, 16.0, 32.0, 64.0),
        ("uniform_budget", 'generalised_binary_search:{"noise":0.1}', 'generalised_binary_search:{"noise":0.4}'),
    ),
}
COLOURS = {
    "uniform_budget": GREY,
    "successive_halving": OLIVE,
    "sequential_elimination": PURPLE,
    "ucb_e": ORANGE,
    "lucb_budget": GREEN,
    "top_two_thompson": "#56B4E9",
    "generalised_binary_search": OLIVE,
}


def contenders(setting: Setting) -> list[Contender]:
    """Return all policies of a setting: the robust one in both plays, those of one level, of a prior, the baselines."""
    shipped = artefacts.fitting(setting.problem)
    found = []
    for play in sorted(shipped.worst_case, key=lambda play: play != shipped.play):
        default = play == shipped.play
        policy = catalog.make("mapo", artefact=shipped.label, play=play)
        key = "robust" if default else f"robust_{play}"
        found.append(Contender(key, f"mapo, {play}", policy, DARK, not default))
    for artefact in compared(setting):
        artefacts.keep(artefact)
        kind = artefact.made["compared_as"]
        label = "trained on a prior" if kind == PRIOR else f"minimax at r = {artefact.levels[-1]:g} only"
        key = PRIOR if kind == PRIOR else f"{LEVEL}_{artefact.levels[-1]:g}"
        policy = catalog.make("mapo", artefact=artefact.label)
        found.append(Contender(key, label, policy, ORANGE if kind == PRIOR else BLUE, kind == LEVEL))
    for text in setting.baselines:
        policy = catalog.parse(text)
        params = policy.spec["params"] if ":" in text else {}
        label = ", ".join([policy.name, *(f"{name} {value:g}" for name, value in params.items())])
        key = "_".join([policy.name, *(f"{value:g}" for value in params.values())])
        found.append(Contender(key, label.replace("_", " "), policy, COLOURS[policy.name]))
    return found


def compared(setting: Setting) -> list[Artefact]:
    """Return the artefacts of a setting that do not ship, by their names."""
    found = []
    for file in sorted(FOLDER.glob("*.json")):
        artefact = unpack(file.with_suffix(".npz").read_bytes(), file.read_bytes(), file.name)
        if artefact.task == setting.task and artefact.budget == setting.budget:
            found.append(artefact)
    return sorted(found, key=lambda artefact: (artefact.made["compared_as"], artefact.levels))


def made(setting: Setting) -> dict[str, Any]:
    """Return how the shipped policy of a setting was made."""
    shipped = artefacts.fitting(setting.problem)
    return {"artefact": shipped.label, **shipped.made}
