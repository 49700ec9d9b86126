"""What an experiment came to whose decisions choose arms: the mean reward, and of fixed arms that of each."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import numpy as np

from ....engine.errors import InvalidInput
from ....engine.vocabulary import LEARN, Columns
from ...experiment.definition import Definition
from ...experiment.report import ArmReport, Report, Rewards, began
from ...service.history import Part


def report(
    spec: Definition, pages: Iterable[Part], arm_ids: Sequence[str], seq: int, rounds: int, segments: int
) -> Report:
    """Return the report of a log up to `seq`, from its pages (`History.pages`)."""
    if segments != 1:
        raise InvalidInput("no_segments", f"{spec.id!r} decides arms: segments are for regret against points")
    every, each = Rewards(), [Rewards() for _ in arm_ids]
    decided = np.zeros(len(arm_ids), np.int64)
    decisions = 0
    for page in pages:
        if not isinstance(page, Columns):  # an arm joined, whose number is the next; or a person said something
            continue
        learned = page.kind == LEARN
        decisions += int((~learned).sum())
        if not spec.intake.per_call:
            decided += np.bincount(page.action[~learned], minlength=len(arm_ids))
        for arm, reward in zip(page.action[learned].tolist(), page.reward[learned].tolist(), strict=True):
            every.add(reward)
            if each:
                each[arm].add(reward)
    found = began(spec.id, seq, decisions, every.mean())
    if not spec.intake.per_call:
        found.arms = [
            ArmReport(**msgspec.structs.asdict(rewards.mean()), arm_id=label, decisions=int(number))
            for label, rewards, number in zip(arm_ids, each, decided, strict=True)
        ]
    return found
