"""What an experiment came to: means with intervals; of vectors regret and certificate.

What it says in words is here, what it counts in `sums.py`, and what each kind of decision says in `kinds/*/report.py`.
The figures of an arm are those of the decisions that took it. These were not drawn at random, so its mean leans a
little towards the luck that it was chosen for; and what another policy would have earned is not estimated here. Of a
query the answers are reported: how often it was asked, and their mean.
"""

from __future__ import annotations

import msgspec

from .definition import Definition
from .report_schemas import Mean, Report

ENOUGH = 100  # rewards, of which not all should be equal


def warnings_of(all: Mean, spec: Definition) -> list[str]:
    """Return what a person must know of rewards: that only one value ever comes, once there are enough of them."""
    if all.rewards < ENOUGH or all.reward_stderr is not None:
        return []
    said = f"all {all.rewards} rewards so far are {all.reward_mean:g}, so there is nothing to learn from them"
    return [f"{said}: {_way_out(spec)}"]


def _way_out(spec: Definition) -> str:
    """Return what to do where all rewards are equal."""
    if spec.window is not None:
        return "see that rewards are sent"
    zeros = "send zeros where nothing came of a decision"
    if spec.problem.states is not None:  # of which a default teaches nothing
        return zeros
    return f"{zeros}, or create the experiment with a reward.wait_time and a reward.default"


def began(experiment_id: str, seq: int, decisions: int, mean: Mean) -> Report:
    """Return what every report says."""
    return Report(**msgspec.structs.asdict(mean), experiment_id=experiment_id, seq=seq, decisions=decisions)
