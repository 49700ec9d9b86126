"""Naive commit: pull every arm u ln K times, keep the one of the largest mean, and commit to it at the end.

With so many pulls the largest of K errors is below eps = 1 / sqrt(u) but for a chance of 1 / K^c, which makes the
expected regret O(K^(1/3) T^(2/3) ln K). After s pulls of each arm the largest error is about sqrt(ln K / (2 s)), which
s = u (ln K)^(1/3), `power` = 1/3, balances better: O(K^(1/3) T^(2/3) (ln K)^(1/3)).
A K of 1 counts as 2 in ln K: a first arm of a single pull would set a record that others cannot reach. Where K s is
more than T, an arm gets T / (3 K) pulls, at least one. What T and K are where they are unknown stands in
`engine/streams.py`: of a K that is unknown, the i-th arm has the pulls of the last of i.

Source: Wang, "Tight regret bounds for single-pass streaming multi-armed bandits", ICML 2023 (the naive algorithm of
the experiments); the other power is ours.
State: the king's place and record, and the newcomer's count and sum. Cost: O(1) a move, one slot.
"""

from __future__ import annotations

from typing import NamedTuple

from ...engine.elementary import exp, log
from ...engine.kernel import kernel
from ...engine.problem import check_param
from ...engine.protocol import register_policy
from ...engine.streams import (
    Contest,
    Stream,
    affordable,
    arms_of,
    begin_contest,
    contest,
    recommend_king,
    rounded_up,
    settle,
    unit,
)
from ...engine.vocabulary import Decision, Feedback, Instance, Key, Policy


class NaiveCommitParams(NamedTuple):
    """Numbers fixed at creation."""

    power: float  # of ln K, > 0


def naive_commit(power: float = 1.0) -> Policy:
    """Pull every arm u (ln K)^`power` times, and keep the best."""
    params = NaiveCommitParams(check_param("power", power, low=0.0, low_open=True))
    return Policy("naive_commit", params, begin_contest, actions=("move",))


@kernel
def pulls_of_arm(params: NaiveCommitParams, stream: Stream) -> int:
    """Return s."""
    log_k = log(float(max(arms_of(stream), 2)))
    factor = log_k if params.power == 1.0 else exp(params.power * log(log_k))
    return rounded_up(affordable(stream, unit(stream) * factor))


@kernel
def update(
    params: NaiveCommitParams,
    state: Contest,
    instance: Instance,
    decision: Decision,
    feedback: Feedback,
    key: Key,
) -> None:
    """Judge the newcomer after its pulls; fix those of the next one after a read."""
    if settle(state, instance, decision, feedback):
        state.most[0] = pulls_of_arm(params, state.stream)


register_policy(NaiveCommitParams, select=contest, update=update, recommend=recommend_king)
