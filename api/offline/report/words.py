"""What the report says in words, and how it writes numbers."""

from __future__ import annotations

import math

from .findings import Findings

LONGEST = 12  # decimals
RIVALS = 3  # that are named
HEADS = ("value", "low", "high")  # of an estimate, a difference, a standing
UNUSABLE = "do not use"
MATCHED, SAMPLE_SIZE = "decisions that tell", "effective sample size"

METHODS = {
    "match": "the mean reward of the decisions on which the target and the log took the same action; it holds where "
    "the log drew its actions uniformly",
    "ips": "every reward counts as often as the target is more likely to take the logged action than the log was",
    "clipped": "ips with weights of at most some size: steadier, and a little biased",
    "snips": "ips, divided by the sum of the weights: steadier, and hardly biased",
    "dm": "what a model of the rewards expects of the target; as good or bad as the model",
    "dr": "dm, corrected by weighted rewards: right if either the model or the propensities are",
    "sndr": "dr, with weights divided by their sum",
    "switch-dr": "dr where weights are small, and dm where they are large",
    "dros": "dr with weights that shrink the more the larger they are",
    "mrdr": "dr with a model fitted to make the estimate's spread small",
    "mips": "ips over the categories of actions instead of the actions",
}
INTERVALS = {
    "normal": "from the spread of the terms, for many decisions of which none dominates",
    "bootstrap": "from the spread of estimates on resampled logs",
    "empirical-bernstein": "holds at any number of decisions, and is wide for that",
    "clopper-pearson": "exact, for rewards of two values",
    "empirical-likelihood": "bends with the skew of the terms, where normal ones do not",
    "weighted-likelihood": "the same, knowing that weights average 1: shorter where they vary",
    "confidence-sequence": "holds at every look at once: look whenever you like, and stop when you have seen enough",
}
BAD_LINES = {
    "after_budget": "a query after the budget was spent",
    "bad_action": "the action is no number, or beyond the number of actions",
    "bad_available": "what could be chosen does not fit the problem",
    "bad_context": "the context does not fit the problem, or holds what is no finite number",
    "bad_detail": "what else was revealed does not fit the problem",
    "bad_features": "features that cannot be read",
    "bad_label": "a label that cannot be read",
    "bad_pdrop": "the share of decisions that were dropped is not in [0, 1)",
    "bad_propensity": "the propensity is not in (0, 1]",
    "bad_reward": "the reward is no finite number",
    "bad_slots": "the slots do not fit each other",
    "bad_timestamp": "the time cannot be read",
    "broken": "the line is empty, or has too few or too many columns",
    "continuous_action": "the action is a number of a range, not one of a few",
    "dangling_reward": "a reward whose decision is not in the log",
    "missing_label": "an action, a reward or a propensity is missing",
    "no_actions": "a decision with no action to choose from",
    "no_decision": "the line is no decision",
    "not_json": "the line is no JSON",
    "not_text": "the line is no text",
    "other_problem": "a decision of another kind of problem",
    "point_outside": "a point outside of the domain",
    "repeated_decision": "a decision that is in the log already",
    "skip_learn": "the log itself says that it is not to be learned from",
    "truncated": "the file ends in the middle of it",
    "unavailable_action": "an action that could not be chosen then",
    "unknown_decision": "a reward of a decision that is not in the log",
    "unknown_kind": "the line is of a kind that is not known",
}


def number(value: float, width: float) -> str:
    """Return a number with the digits that an interval of a width makes worth reading: two of its half.

    >>> [number(0.0061234, 0.0021), number(12.345, 3.0), number(0.5, float("nan")), number(float("nan"), 1.0)]
    ['0.0061', '12.3', '0.5', 'n/a']
    """
    if not math.isfinite(value):
        return "n/a" if math.isnan(value) else f"{value}"
    if not (math.isfinite(width) and width > 0.0):
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    decimals = max(0, 1 - math.floor(math.log10(width / 2.0)))
    text = f"{value:,.{decimals}f}" if decimals <= LONGEST else f"{value:.3g}"
    return text if text.strip("-0.,") else text.lstrip("-")  # zero has no sign


def rounded(count: float) -> str:
    """Return a count that need not be whole.

    >>> [rounded(0.0), rounded(3.14159), rounded(12345.6)]
    ['0', '3.14', '12,346']
    """
    return f"{count:,.0f}" if count >= 100.0 else f"{count:.3g}"


def listed(words: list[str], join: str = "and") -> str:
    """Return words as a sentence has them.

    >>> [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])]
    ['a', 'a and b', 'a, b and c']
    """
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {join} {words[-1]}"


def verdict(found: Findings) -> list[str]:
    """Return the result in sentences: who is best, how sure that is, and how it compares to the log."""
    earned = number(found.log_value, found.log_interval[1] - found.log_interval[0])
    rows = [row for row in found.rows if not row.is_log]
    if not rows:
        between = between_words(*found.log_interval)
        return [f"The log earned {earned} a decision ({percent(found.level)} interval {between})."]
    best, others = rows[0], rows[1:]
    if math.isnan(best.value):
        return [f"This log tells nothing of {listed([row.label for row in rows])}: the log earned {earned}."]
    width = best.high - best.low
    together = ", which holds for all targets at once" if len(found.rows) > 1 else ""
    sure = f"{percent(found.level)} interval {between_words(best.low, best.high)}{together}"
    between = "" if math.isnan(width) else f" ({sure})"
    said = [f"{best.label} would have earned {number(best.value, width)} a decision{between}; the log earned {earned}."]
    if math.isnan(width):
        return [*said, "How sure that is cannot be told: what it was judged by shows no spread."]
    if found.against_log > 0:
        said.append("That is more than the log earned, by more than chance explains.")
    elif found.against_log < 0:
        said.append("That is less than the log earned: no target is better than what made the log.")
    elif best.value > found.log_value:
        said.append("Chance alone may explain that it is more than the log earned: this log cannot tell.")
    else:
        said.append("The log itself earned no less, though chance alone may explain that: this log cannot tell.")
    rivals = [row.label for row in others if row.can_be_best]
    if len(rivals) > RIVALS:
        said.append(f"{len(rivals)} of the {len(others)} other targets may be as good as {best.label}.")
    elif rivals:
        said.append(f"{listed(rivals)} may be as good as {best.label}.")
    elif others and best.can_be_best:
        said.append(f"It is better than {'the other target' if len(others) == 1 else 'all other targets'}.")
    return said


def between_words(low: float, high: float) -> str:
    """Return an interval in words.

    >>> between_words(0.00421, 0.00799)
    '0.0042 to 0.0080'
    """
    return f"{number(low, high - low)} to {number(high, high - low)}"


def percent(share: float) -> str:
    """Return a share as a percentage.

    >>> [percent(0.95), percent(0.999)]
    ['95\xa0%', '99.9\xa0%']
    """
    return f"{100 * share:g}\u00a0%"  # on one line
