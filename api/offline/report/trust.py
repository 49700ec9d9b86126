"""Whether the log can be trusted: a light for the log and for each candidate, with the reasons in words."""

from __future__ import annotations

import math
from typing import NamedTuple

from ....engine.estimate.diagnostics import Diagnostics
from .findings import Findings
from .words import SAMPLE_SIZE, percent, rounded

GREEN, AMBER, RED = "good", "take care", "alarm"
STATES = (RED, AMBER, GREEN)
LOG = "the log"
UNKNOWN = "the log does not say how likely its actions were: nothing can be checked"
NUMBERS = (SAMPLE_SIZE, "overlap", "mean weight", "top 1 % carry", "tail")


class Light(NamedTuple):
    """What was found of a candidate, or of the log itself."""

    label: str
    state: str
    warnings: list[str]
    numbers: list[tuple[str, float]]  # with what they are sorted by, as `NUMBERS` names them; none of the log itself


def diagnosed(found: Findings) -> list[Light]:
    """Return a light for each candidate, after one for the log where something speaks against all of them."""
    known = [(row.label, row.diagnostics) for row in found.rows]
    shared = _shared([[UNKNOWN] if each is None else each.warnings for _, each in known])
    lights = [_light(label, each, shared) for label, each in known]
    if not shared:
        return lights
    alarmed = any(each is not None and _false_log(each) for _, each in known)
    return [Light(LOG, RED if alarmed else AMBER, shared, []), *lights]


def by_state(lights: list[Light]) -> list[tuple[list[str], str, list[str]]]:
    """Return labels with their state and warnings, the worst first; those of which the same is said together."""
    found: dict[tuple[str, ...], list[str]] = {}
    for light in lights:
        found.setdefault((light.state, *light.warnings), []).append(light.label)
    order = sorted(found.items(), key=lambda item: (item[1] != [LOG], STATES.index(item[0][0])))
    return [(labels, state, list(warnings)) for (state, *warnings), labels in order]


def _light(label: str, found: Diagnostics | None, shared: list[str]) -> Light:
    if found is None:
        return Light(label, AMBER, [] if UNKNOWN in shared else [UNKNOWN], [])
    own = [warning for warning in found.warnings if warning not in shared]
    broken = found.weights.alarm_at is not None or found.useless is not None or found.overlap == 0.0
    red = broken or (not shared and _false_log(found))
    numbers = [
        (rounded(found.effective_sample_size), found.effective_sample_size),
        (_share(found.overlap), found.overlap),
        (f"{found.weight_mean:.3g} ± {found.weight_error:.1g}", found.weight_mean),
        (_share(found.tail.top_share), found.tail.top_share),
        (f"{k:.2f}" if math.isfinite(k := found.tail.pareto_k) else "none", k),
    ]
    return Light(label, RED if red else AMBER if own else GREEN, own, numbers)


def _false_log(found: Diagnostics) -> bool:
    """Whether the log itself is wrong, whoever is judged on it."""
    arms, actions = found.arms, found.actions
    return (
        (arms is not None and arms.alarm_at is not None)
        or (actions is not None and actions.p_value < found.rare)
        or (found.law is not None and found.law.alarm_at is not None)
        or found.rewarded > 1.0
    )


def _shared(warnings: list[list[str]]) -> list[str]:
    """Return what is said of all of several candidates."""
    if len(warnings) < 2:
        return []
    return [warning for warning in warnings[0] if all(warning in other for other in warnings[1:])]


def _share(share: float) -> str:
    return "n/a" if math.isnan(share) else percent(float(f"{100 * share:.3g}") / 100)
