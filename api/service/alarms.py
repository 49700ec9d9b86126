"""What somebody should look at, in words: the pages, the list of experiments and `onearm top` all have it from here."""

from __future__ import annotations

from collections.abc import Mapping

from ..experiment.report import warnings_of
from .live import Live

SILENT = 100  # decisions after which no reward at all is an alarm
UNTRUE = 2.0  # log10 of the capital of a bettor against the propensities


def alarms_of(live: Live, suspected: Mapping[int, float]) -> list[str]:
    """Return what is wrong with an experiment; 2 us. `suspected` is log10 of those capitals, by key."""
    if live.archived:
        return []
    if live.unusable is not None:
        return [f"it does not answer: {live.unusable}"]
    said = warnings_of(live.tally.all, live.spec) if live.kind.has_rewards else []
    due = live.number if live.windows is None else live.number - live.windows.n_open(live.number)
    if not live.rewards and due >= SILENT:
        said.append(f"no reward has come for {due:,} decisions: see that rewards are sent")
    if suspected.get(live.row.key, 0.0) >= UNTRUE:
        said.append("arms are taken more often than their propensities say")
    if live.uncorrected:
        said.append(f"{live.uncorrected:,} corrections are not learned yet")
    return said
