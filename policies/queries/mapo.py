"""MAPO: ask and recommend as a policy does that was trained against an adversary, for all difficulties at once.

Source: Zhang, Jain, Jamieson, "Learning to actively learn: a robust approach", arXiv 2010.15382. The weights come
from an artefact (`engine/trained/artefact.py`), a network or a table, for one task, kind of answer, loss and budget,
with its worst-case losses. It refuses other problems: nothing is known of it there.
Play "sample" draws the query from the softmax of the logits, and the recommendation from that of the scores; "greedy"
takes the largest, of several one by a draw. Both laws are exact. The default is what was better in the worst case.
Departs from the paper: features and sizes are ours; closed queries are left out of the law. Answers may come late and
in any order: a query under way counts as visited, which training has not seen (but in a table, which knows answers
alone); a recommendation counts answers alone.
State: how often each query was asked and answered, and sums of answers. Cost: one pass through the network a decision,
about 1.5 us for 10 points or 3 arms; O(1) an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...engine.draws import RECOMMENDATION, categorical
from ...engine.elementary import exp
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.protocol import register_policy
from ...engine.queries.evidence import Evidence, ask, begin, take_in
from ...engine.task import Task
from ...engine.trained.artefact import PLAYS, Artefact
from ...engine.trained.networks import ArmNet, FlatNet, arm_net, arm_work, flat_net, flat_work, outputs
from ...engine.trained.tables import TablePolicy
from ...engine.trained.tabulated import Tabulated, tabulated, tabulated_work
from ...engine.vocabulary import Array, Decision, Guarantee, Instance, Key, Policy, Problem
from .. import artefacts


class MapoParams(NamedTuple):
    """Numbers fixed at creation."""

    greedy: bool  # take the largest, and do not draw
    net: Any  # ArmNet, FlatNet or Tabulated; None until the problem is known


class MapoState(NamedTuple):
    """What was asked and answered, and working space."""

    evidence: Evidence
    scratch_visits: Array  # int64[n]
    scratch_law: Array  # float64[n] of queries
    scratch_belief: Array  # float64[m] of hypotheses
    scratch_net: Any


def mapo(artefact: str | None = None, play: str | None = None) -> Policy:
    """Decide as an artefact, NAME or NAME@DIGITS, does: by default the only one that is for the problem.

    `play` is "sample" or "greedy"; by default the one with which the artefact's worst case was better.
    """
    if play not in (None, *PLAYS):
        raise InvalidInput("bad_param", f"play is {as_seen(play)}: it must be {' or '.join(PLAYS)}, or left out")
    if artefact is not None:
        if not isinstance(artefact, str):
            raise InvalidInput("bad_param", f"artefact is {as_seen(artefact)}: it must be a name, NAME or NAME@DIGITS")
        artefacts.find(artefact)
    return _policy(MapoParams(False, None), partial(resolve, artefact, play))


def resolve(artefact: str | None, play: str | None, problem: Problem) -> Policy:
    """Return the policy for a problem, whose spec names the artefact in full."""
    chosen = artefacts.fitting(problem) if artefact is None else artefacts.find(artefact)
    artefacts.check(chosen, problem)
    play = chosen.play if play is None else play
    params = MapoParams(play == "greedy", network(chosen.architecture, chosen.task, chosen.budget, chosen.arrays))
    spec = {"name": "mapo", "params": {"artefact": chosen.label, "play": play}}
    return _policy(params, partial(resolve, chosen.label, play), spec, _guarantee(chosen, play))


def _guarantee(artefact: Artefact, play: str) -> Guarantee | None:
    """Return what an artefact says of a play; None where nothing was measured."""
    if (losses := artefact.worst_case.get(play)) is None:
        return None
    levels = tuple(zip(artefact.levels, losses, strict=True))
    return Guarantee(artefact.label, play, levels, solved=artefact.architecture == "table/1")


def with_weights(
    architecture: str, task: Task, budget: int, arrays: Mapping[str, Array], play: str = "sample"
) -> Policy:
    """Return the policy of arrays that are no artefact yet, as training has them; it fits any problem of the task."""
    return _policy(MapoParams(play == "greedy", network(architecture, task, budget, arrays)))


def network(architecture: str, task: Task, budget: int, arrays: Mapping[str, Array]) -> ArmNet | FlatNet | Tabulated:
    """Return the arrays of an architecture as its kernel reads them."""
    if architecture == "arm_net/1":
        return arm_net(budget, arrays)
    if architecture == "flat_net/1":
        return flat_net(budget, task.table, arrays)
    return tabulated(TablePolicy(task, budget, arrays["query"], arrays["recommendation"]))


def _policy(
    params: MapoParams, resolve: Any = None, spec: dict[str, Any] | None = None, guarantee: Guarantee | None = None
) -> Policy:
    return Policy(
        "mapo",
        params,
        init,
        actions=("query",),
        feedbacks=("answer",),
        spec=spec or {},
        resolve=resolve,
        guarantee=guarantee,
    )


def init(params: MapoParams, problem: Problem) -> MapoState:
    """Return the state before the first query."""
    evidence = begin(problem)
    n, m = len(evidence.count), len(evidence.scratch_score)
    if isinstance(params.net, ArmNet):
        work: Any = arm_work(params.net, n)
    elif isinstance(params.net, FlatNet):
        work = flat_work(params.net)
    else:
        work = tabulated_work(params.net)
    return MapoState(evidence, np.zeros(n, np.int64), np.zeros(n), np.zeros(m), work)


@kernel
def select(params: MapoParams, state: MapoState, instance: Instance, key: Key) -> Decision:
    """Draw a query from the law."""
    _weigh_queries(params, state, instance.available)
    query = categorical(key, 0, state.scratch_law)
    return Decision(query, state.scratch_law[query])


@kernel
def probability(params: MapoParams, state: MapoState, instance: Instance, action: int) -> float:
    """Return the probability of a query under the law."""
    _weigh_queries(params, state, instance.available)
    return state.scratch_law[action]


@kernel
def recommend(params: MapoParams, state: MapoState, key: Key) -> int:
    """Draw a hypothesis from the scores of what was answered."""
    evidence = state.evidence
    outputs(params.net, evidence.count, evidence.count, evidence.total, state.scratch_net)
    _weigh(state.scratch_net.scores, params.greedy, state.scratch_belief)
    return categorical(key, RECOMMENDATION, state.scratch_belief)


@kernel
def _weigh_queries(params: MapoParams, state: MapoState, available: Array) -> None:
    """Write the law over the open queries, 0 for the others: all open ones alike where it asks none of them."""
    evidence, visits = state.evidence, state.scratch_visits
    for i in range(len(visits)):
        visits[i] = max(evidence.asked[i], evidence.count[i])
    outputs(params.net, visits, evidence.count, evidence.total, state.scratch_net)
    logits = state.scratch_net.logits
    best = -np.inf
    for i in range(len(logits)):
        if available[i]:
            best = max(best, logits[i])
    for i in range(len(logits)):
        logits[i] = -np.inf if not available[i] else (0.0 if best == -np.inf else logits[i])
    _weigh(logits, params.greedy, state.scratch_law)


@kernel
def _weigh(scores: Array, greedy: bool, law: Array) -> None:
    """Write the softmax of scores, or the law of the largest, shared by ties. One of them at least is not -inf."""
    best = -np.inf
    for a in range(len(scores)):
        best = max(best, scores[a])
    total = 0.0
    for a in range(len(scores)):
        weight = (1.0 if scores[a] == best else 0.0) if greedy else exp(scores[a] - best)
        law[a] = weight
        total += weight
    for a in range(len(scores)):
        law[a] /= total


register_policy(MapoParams, select=select, update=take_in, mark=ask, probability=probability, recommend=recommend)
