"""Uniform exploration: pull every arm equally often, keep the one of the largest mean, and commit to it at the end.

The pulls of an arm are s = (T / K)^(2/3) (ln T)^(1/3), which gives a regret of O(K^(1/3) T^(2/3) (ln T)^(1/3)); or the
unit u = (T / K)^(2/3) itself. The first arm's mean counts, and ties stay with the arm that is kept.
Where K s is more than T, an arm gets T / (3 K) pulls, at least one. What T and K are where they are unknown stands in
`engine/streams.py`: of a K that is unknown, the i-th arm has the pulls of the last of i.

Source: the baseline of Wang, "Tight regret bounds for single-pass streaming multi-armed bandits", ICML 2023. To be read
beside it, pulls = "unit": against "log", every rule that pays about u an arm saves 1 - (ln T)^(-1/3), itself included.
State: the king's place and record, and the newcomer's count and sum. Cost: O(1) a move, one slot.
"""

from __future__ import annotations

from typing import NamedTuple

from ...engine.elementary import log
from ...engine.errors import InvalidInput, as_seen
from ...engine.kernel import kernel
from ...engine.protocol import register_policy
from ...engine.streams import (
    Contest,
    Stream,
    affordable,
    begin_contest,
    contest,
    cube_root,
    recommend_king,
    rounded_up,
    settle,
    trials_of,
    unit,
)
from ...engine.vocabulary import Decision, Feedback, Instance, Key, Policy

PULLS = ("unit", "log")
UNIT, LOG = range(2)


class UniformExplorationParams(NamedTuple):
    """Numbers fixed at creation."""

    pulls: int  # of PULLS


def uniform_exploration(pulls: str = "log") -> Policy:
    """Pull every arm equally often, and keep the best: "log", u (ln T)^(1/3) times, or "unit", u times."""
    if pulls not in PULLS:
        raise InvalidInput("bad_param", f"pulls is {as_seen(pulls)}: it must be one of {', '.join(PULLS)}")
    return Policy("uniform_exploration", UniformExplorationParams(PULLS.index(pulls)), begin_contest, actions=("move",))


@kernel
def pulls_of_arm(params: UniformExplorationParams, stream: Stream) -> int:
    """Return s; ln T counts as 1 at the least."""
    pulls = unit(stream)
    if params.pulls == LOG:
        pulls *= cube_root(max(log(float(trials_of(stream))), 1.0))
    return rounded_up(affordable(stream, pulls))


@kernel
def update(
    params: UniformExplorationParams,
    state: Contest,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Judge the newcomer after its pulls; fix those of the next one after a read."""
    if settle(state, instance, decision, feedback):
        state.most[0] = pulls_of_arm(params, state.stream)


register_policy(UniformExplorationParams, select=contest, update=update, recommend=recommend_king)
