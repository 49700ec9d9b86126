"""What people hand over to functions of Python, checked: an error says what was seen, the rule, and what to do."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np

from ...engine.errors import InvalidInput, as_seen
from ...engine.replay.matching import LEARNING, Learning
from ...engine.storage.numerals import number_in
from ...engine.storage.rows import Naming
from ...engine.vocabulary import Policy
from ..offline.candidate_kinds import LOGGED
from ..offline.candidates import policy_named
from ..offline.naming import naming_of
from ..offline.options import MODELS, OWN


def texts_of(given: Any, what: str) -> list[str]:
    """Return one text, or several, as a list."""
    found = [given] if isinstance(given, str) else given
    if not isinstance(found, Sequence) or not all(isinstance(each, str) for each in found):
        raise InvalidInput(f"bad_{what}", f"{what} is {as_seen(given)}: it must be a text, or a list of texts")
    return list(found)


def text_of(given: Any, what: str) -> str | None:
    """Return one text, a name, or None where there is none; a column of a table is refused."""
    if given is not None and not isinstance(given, str):
        raise InvalidInput(f"bad_{what}", f"{what} is {as_seen(given)}: it must be a text, a name")
    return given


def columns_of(
    roles: dict[str, Any], features: Any, reward_is: Any, context: Any, ignore: Any, interactions: Any, bits: Any
) -> Naming:
    """Return which columns are what; names are texts, or one text with commas as on the command line."""
    named = {what: text_of(given, what) for what, given in roles.items()}
    several = [names_of(given, what) for given, what in ((features, "features"), (ignore, "ignore"))]
    kind, is_cost = text_of(context, "context") or "", text_of(reward_is, "reward_is") or ""
    given = None if interactions is None else _spaces_of(interactions)
    whole = None if bits is None else integer_of(bits, "bits")
    return naming_of(
        several[0], **named, reward_is=is_cost, context=kind, ignore=several[1], interactions=given, bits=whole
    )


def names_of(given: Any, what: str) -> list[str]:
    """Return names: texts, or one text with commas."""
    return given.split(",") if isinstance(given, str) else texts_of(given, what)


def _spaces_of(given: Any) -> list[list[str]]:
    """Return pairs or threes of namespaces; which are allowed, the encoder says."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise InvalidInput(
            "bad_interactions", f'interactions is {as_seen(given)}: it must be a list of pairs, as [["user", "item"]]'
        )
    return [texts_of(each, "interactions") for each in given]


def model_of(given: Any) -> str:
    """Return the name of a model of the reward."""
    if not isinstance(given, str) or not (given in MODELS or given.startswith(OWN)):
        raise InvalidInput(
            "unknown_model",
            f"there is no model {as_seen(given)}: there are {', '.join(MODELS)}, and {OWN}q_* of a table",
        )
    return given


def whole_of(given: Any, what: str) -> int | None:
    """Return a whole number from 1 on, or None where there is none."""
    if given is not None and (isinstance(given, bool) or not isinstance(given, Integral) or given < 1):
        raise InvalidInput(f"bad_{what}", f"{what} is {as_seen(given)}: it must be a whole number from 1 on")
    return None if given is None else int(given)


def integer_of(given: Any, what: str) -> int:
    """Return a whole number, also one of NumPy's; which are allowed, the engine says."""
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise InvalidInput(f"bad_{what}", f"{what} is {as_seen(given)}: it must be a whole number")
    return int(given)


def truth_of(given: Any, what: str) -> bool:
    """Return True or False."""
    if not isinstance(given, bool | np.bool_):
        raise InvalidInput(f"bad_{what}", f"{what} is {as_seen(given)}: it must be True or False")
    return bool(given)


def number_of(given: Any, what: str) -> float | None:
    """Return a number, or None where there is none."""
    if given is not None and not _is_number(given):
        raise InvalidInput(what, f"{what} is {as_seen(given)}: it must be a number, as 10")
    return None if given is None else float(given)


def level_of(given: Any) -> float:
    """Return the level of intervals."""
    if not _is_number(given) or not 0.0 < given < 1.0:
        raise InvalidInput("bad_level", f"level is {as_seen(given)}: it must be a number in (0, 1), as 0.95")
    return float(given)


def range_of(given: Any) -> tuple[float, float] | None:
    """Return between what rewards lie, or None where nobody says."""
    if given is None:
        return None
    ends = given.tolist() if isinstance(given, np.ndarray) else given
    ends = list(ends) if isinstance(ends, Sequence) else []
    if len(ends) != 2 or not all(map(_is_number, ends)) or not -math.inf < ends[0] < ends[1] < math.inf:
        raise InvalidInput(
            "bad_range", f"reward_range is {as_seen(given)}: it must be two numbers that ascend, as (0, 1)"
        )
    return float(ends[0]), float(ends[1])


def label_of(given: Any, target: Any) -> str:
    """Return the label of a target."""
    if not isinstance(given, str) or not given.strip():
        raise InvalidInput(
            "bad_label", f"the label of a target is {as_seen(given)}: it must be a text that says something"
        )
    if given == LOGGED and target != LOGGED:
        raise InvalidInput(
            "bad_label", f"a target is labelled {LOGGED!r}, which is what made the log: take another label"
        )
    return given


def baseline_of(given: Any) -> str | None:
    """Return what names the baseline."""
    if given is not None and not isinstance(given, str):
        raise InvalidInput(
            "bad_baseline",
            f"baseline is {as_seen(given)}: it must be the label of a target, or name one, as 'logged'; hand over what "
            "has no name as a target {'mine': ...}, and say baseline='mine'",
        )
    return given


def policy_of(given: Any) -> Policy:
    """Return a policy that was named or made, which is to decide on a log anew."""
    if isinstance(given, Policy):
        return given
    if isinstance(given, str):
        return policy_named(given)
    raise InvalidInput(
        "bad_policy",
        f"a policy is {as_seen(given)}: name one of onearm.policies, or hand one over; functions of a batch are for "
        "onearm.evaluate",
    )


def learning_of(given: Any) -> Learning:
    """Return what candidates learn: a word, or a share of the rows, which may stand in a text; the engine checks it."""
    if not isinstance(given, str) and not _is_number(given):
        raise InvalidInput(
            "bad_learning", f"learn is {as_seen(given)}: it must be {', '.join(LEARNING)}, or a share as 0.5"
        )
    share = number_in(given) if isinstance(given, str) else float(given)
    return given if math.isnan(share) else share


def path_of(given: Any, what: str) -> Path | None:
    """Return the path of a file, or None where there is none."""
    if given is not None and not isinstance(given, str | os.PathLike):
        raise InvalidInput(f"bad_{what}", f"{what} is {as_seen(given)}: it must be the path of a file")
    return None if given is None else Path(given)


def _is_number(given: Any) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool)
