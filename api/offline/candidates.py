"""Candidates: whose value is asked for, as people name them.

"logged"       the policy that made the log
"first"        the first action of each set, the baseline of Vowpal Wabbit's logs
"action:3"     the action of that label, or else of that number, from 0
"uniform", 'linucb:{"alpha":0.5}'   a policy, learning as it goes through the log
"columns:p_*", ...   probabilities that stand in a table; or the name of a function of a batch
"""

from __future__ import annotations

from collections.abc import Sequence

from ...engine.errors import InvalidInput
from ...engine.vocabulary import Policy
from ...policies import catalog
from ..swept import label_among, swept
from .candidate_kinds import (
    COLUMNS,
    LOGGED,
    ActionCandidate,
    Candidate,
    ColumnsCandidate,
    LoggedCandidate,
    PolicyCandidate,
    of_function,
    of_policy,
)
from .own import is_batch_function


def candidate(text: str) -> Candidate:
    """Return the candidate that a person named.

    >>> candidate("action:sale")
    ActionCandidate(label='action:sale', action='sale')
    """
    if text == LOGGED:
        return LoggedCandidate()
    if text == "first":
        return ActionCandidate(text, 0)
    word, colon, number = text.partition(":")
    if word == "action" and colon:
        if not number:
            raise InvalidInput("bad_target", f"{text!r} names no action: say action:0, action:1, ..., or its label")
        return ActionCandidate(text, number)
    if word in COLUMNS:
        if not number:
            raise InvalidInput(
                "bad_target", f"{text!r} names nothing: say column:NAME, columns:p_*, table:FILE, frequency:NAME"
            )
        return ColumnsCandidate(text, word, number)
    if catalog.knows(text) and is_batch_function(function := catalog.factory(text)):
        return of_function(function, text)
    try:
        return of_policy(catalog.parse(text))
    except InvalidInput as refusal:
        if refusal.code != "unknown_policy" or colon:
            raise
        raise InvalidInput(refusal.code, f"{refusal}; or did you mean action:{text}?") from None


def policy_named(text: str) -> Policy:
    """Return the policy that a person named, which is to decide on a log anew.

    Raises `InvalidInput` ("bad_policy") for what is a target, and decides nothing anew.
    """
    word = text.partition(":")[0]
    is_function = catalog.knows(text) and is_batch_function(catalog.factory(text))
    if is_function or word in (LOGGED, "first", "action", *COLUMNS):
        raise InvalidInput(
            "bad_policy",
            f"{text!r} is a target for evaluate, and no policy: policies decide anew, as ucb1 and linucb do",
        )
    return catalog.parse(text)


def checked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return the candidates, of which no two may be the same."""
    labels = [each.label for each in candidates]
    for label in labels:
        if labels.count(label) > 1:
            raise InvalidInput("repeated_target", f"{label} is named {labels.count(label)} times: name each once")
    return [*candidates]


def with_sweeps(given: Sequence[Policy], sweeps: Sequence[str]) -> list[Candidate]:
    """Return policies as candidates, and those of sweeps that are not among them."""
    candidates, more = (
        [PolicyCandidate(label_among(each.spec, sweeps), each) for each in policies]
        for policies in (given, [policy for text in sweeps for policy in swept(text, given)])
    )
    labels = {each.label for each in candidates}
    return [*candidates, *(each for each in more if each.label not in labels)]
