"""What an experiment came to whose decisions choose arms: the mean reward, and of fixed arms that of each."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ....engine.vocabulary import Certificate, Problem
from ...experiment.definition import Definition
from ...experiment.report import began
from ...experiment.report_schemas import ArmReport, Report
from ...experiment.sums import Tally, fresh
from ...experiment.windowed import WindowTally, fresh_windows


def tally(spec: Definition, problem: Problem) -> Tally:
    """Return what is counted, before any event: fixed arms are told apart."""
    choices = 0 if spec.intake.per_call else problem.n_arms
    return Tally(fresh(choices)) if spec.window is None else WindowTally(fresh_windows(choices))


def report(
    spec: Definition, tally: Tally, arm_ids: Sequence[str], seq: int, decisions: int, proof: Certificate | None
) -> Report:
    """Return the report of what was counted up to `seq`; O(arms)."""
    found = began(spec.id, seq, decisions, tally.all)
    if not spec.intake.per_call:
        found.arms = [
            ArmReport(**msgspec.structs.asdict(tally.mean(arm)), arm_id=label, decisions=tally.decided(arm))
            for arm, label in enumerate(arm_ids)
        ]
    return found
