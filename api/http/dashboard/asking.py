"""What the form of an evaluation holds: whose value, by which methods, how sure, and for which parts of the log."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from ....engine import snapshot
from ....engine.errors import InvalidInput, OnearmError
from ....engine.problem import check_fit
from ....engine.storage.numerals import natural_in
from ....engine.vocabulary import Policy, Problem
from ....policies import catalog
from ...experiment.lineup import leader
from ...experiment.sizes import made_within
from ...kinds.form import FormError, lines_of, number_of, range_of
from ...offline.candidate_kinds import (
    LOGGED,
    UNIFORM,
    ActionCandidate,
    Candidate,
    ColumnsCandidate,
    FunctionCandidate,
    PolicyCandidate,
    as_word,
)
from ...offline.candidates import candidate, checked
from ...offline.options import BY_RANGE, INTERVALS, METHODS, Options
from ...offline.reading import DIMENSION
from ...service.evaluating import FormQuestion
from ...service.live import Live

TARGET, METHOD, INTERVAL = "target.", "method.", "interval."  # what names of check boxes begin with
LEARNING: dict[Literal["matched", "logged", "nothing"], str] = {
    "matched": "the decisions on which they agree with the log",
    "logged": "every decision of the log",
    "nothing": "nothing",
}
BASELINES = {LOGGED: "what made the log", UNIFORM: UNIFORM, "": "nobody"}
CANDIDATES_MAX = 20
CONSTANTS_MAX = 12  # of which each has a box
OFFERED = tuple(name for name in METHODS if name != "mips")  # that one needs a category of each action
AT = {  # the field that a refusal is about, by its code; one of a policy that is named is told at `targets` anyway
    "bad_target": "targets",
    "bad_params": "targets",
    "bad_param": "targets",
    "bad_spec": "targets",
    "missing_param": "targets",
    "no_room": "targets",
    "policy_does_not_fit": "targets",
    "repeated_target": "targets",
    "state_too_large": "targets",
    "bad_segment": "segment",
    "no_segment": "segment",
    "too_many_segments": "segment",
    "bad_range": "reward_low",
    "bad_reward": "reward_low",
    "reward_range": "reward_low",
    "bad_learning": "learn",
    "only_ratios": "methods",
}


class Box(NamedTuple):
    """A check box."""

    name: str
    said: str


class Offer(NamedTuple):
    """What can be chosen of a log's targets."""

    own: list[Box]  # what made the log, and the policies of the experiment
    constants: list[Box]
    policies: list[Box]  # of the catalogue


def offer_of(live: Live) -> Offer:
    """Return what the form offers of an experiment. The first call makes every policy once: for a thread."""
    own = [Box(TARGET + LOGGED, "what made the log"), Box(TARGET + UNIFORM, f"{UNIFORM}: every action alike")]
    own += [Box(TARGET + text, f"{label}, as it is here") for text, label in members_of(live).items()]
    always = constants_of(live) if len(live.roster.labels) <= CONSTANTS_MAX else {}
    constants = [Box(TARGET + text, label) for text, label in always.items()]
    fitting = [name for name, policy in _made().items() if name != UNIFORM and _fits(policy, live.problem)]
    return Offer(own, constants, [Box(TARGET + name, name) for name in fitting])


def members_of(live: Live) -> dict[str, str]:
    """Return the policies of an experiment as targets, with what its page calls each; the uniform one is one anyway."""
    named = {as_word(one.spec): f"{live.named[one.policy]} #{one.policy}" for one in live.members}
    return {text: label for text, label in named.items() if text != UNIFORM}


def constants_of(live: Live) -> dict[str, str]:
    """Return what takes always the same arm as targets, with what people call each."""
    labels = live.roster.labels if live.kind.has_arms else ()
    return {f"action:{place}": f"always {label}" for place, label in enumerate(labels)}


def usual(live: Live) -> dict[str, str]:
    """Return what the form holds at first."""
    targets = (LOGGED, UNIFORM, as_word(leader(live.members).spec))
    given = {f"{TARGET}{text}": "on" for text in targets} | {f"{METHOD}snips": "on", f"{INTERVAL}normal": "on"}
    if (limits := live.problem.reward_range) is not None:
        given |= {"reward_low": f"{limits[0]:g}", "reward_high": f"{limits[1]:g}"}
    return given | {"learn": "matched", "baseline": LOGGED, "segment": "", "targets": ""}


def form_question(given: Mapping[str, str], live: Live, state_bytes: int) -> FormQuestion:
    """Return what a form asks; raises `FormError`. For a thread: states are made, to see that all fit `state_bytes`."""
    named = [name.removeprefix(TARGET) for name in given if name.startswith(TARGET)]
    candidates, size = _candidates([*named, *lines_of(given, "targets")], live, state_bytes)
    methods = tuple(name for name in OFFERED if f"{METHOD}{name}" in given)
    intervals = tuple(name for name in INTERVALS if f"{INTERVAL}{name}" in given)
    if not methods:
        raise FormError("methods", "no method is chosen: snips needs nothing but the log")
    if not intervals:
        raise FormError("intervals", "no interval is chosen: take normal, or confidence-sequence to look every day")
    said = given.get("learn", "matched")
    if (learn := next((word for word in LEARNING if word == said), None)) is None:
        raise FormError("learn", f"policies learn {said[:40]!r}: it must be one of {', '.join(LEARNING)}")
    labels = {each.label for each in candidates}
    baseline = given.get("baseline", "") if given.get("baseline", "") in labels else None
    limits, weight_max = _range_of(given), _weight_max(given)
    options = Options(methods, intervals, learn=learn, reward_range=limits, weight_max=weight_max, baseline=baseline)
    return FormQuestion(tuple(candidates), options, given.get("segment", "").strip() or None, size, dict(given))


def placed(error: OnearmError) -> tuple[str, str]:
    """Return the field that a refusal is about, "" where it is none, and what is said there."""
    said = str(error).replace(BY_RANGE, "in the fields below")
    return (error.field if isinstance(error, FormError) else AT.get(error.code, ""), said)


def command_of(question: FormQuestion, name: str) -> str:
    """Return the command that does the same."""
    options = question.options
    words = [f"onearm evaluate DATABASE --experiment {name}"]
    words += [f"--target {_quoted(each.word)}" for each in question.candidates]
    words += [f"--method {method}" for method in options.methods]
    words += [f"--interval {interval}" for interval in options.intervals]
    words += [f"--learn {options.learn}"] if options.learn != "matched" else []
    if options.reward_range is not None:
        words.append(f"--reward-range {options.reward_range[0]:g}:{options.reward_range[1]:g}")
    words += [f"--weight-max {options.weight_max:g}"] if options.weight_max is not None else []
    words += [f"--baseline {_quoted(options.baseline)}"] if options.baseline is not None else []
    words += [f"--segment {_quoted(question.segment)}"] if question.segment is not None else []
    return " ".join(words)


def _quoted(text: str) -> str:
    return text if re.fullmatch(r"[\w.:=-]+", text, re.ASCII) else "'" + text.replace("'", "'\"'\"'") + "'"


def _candidates(texts: list[str], live: Live, state_bytes: int) -> tuple[list[Candidate], int]:
    """Return who is named, and how many bytes all states take together, at most `state_bytes`."""
    if not texts:
        raise FormError("targets", "nobody is chosen: choose whose value you want to know")
    if len(texts) > CANDIDATES_MAX:
        raise FormError("targets", f"{len(texts)} are chosen: at most {CANDIDATES_MAX} go through a log together")
    found, taken, called = [], 0, members_of(live) | constants_of(live)
    for text in dict.fromkeys(texts):
        try:
            one, size = _candidate(text, live, state_bytes - taken)
            taken += size
            found.append(replace(one, label=called.get(text, one.label)))
        except OnearmError as error:
            raise FormError("targets", str(error)) from None
    try:
        return checked(found), taken
    except InvalidInput as error:
        raise FormError("targets", str(error)) from None


def _candidate(text: str, live: Live, state_bytes: int) -> tuple[Candidate, int]:
    """Return who is named, and how many bytes its state takes, at most `state_bytes`."""
    one, size = candidate(text), 0
    match one:
        case PolicyCandidate(policy=policy):
            read = _as_read(policy, live.problem)
            check_fit(policy, read)
            size = snapshot.size(made_within(policy, read, state_bytes))
        case ColumnsCandidate() | FunctionCandidate():  # a file of this machine, say
            raise InvalidInput("bad_target", f"{text} is a target of tables: name a policy, or an action by its number")
        case ActionCandidate(action=action) if (
            number := natural_in(str(action))
        ) is None or number >= live.problem.n_arms:
            raise InvalidInput(
                "bad_target", f"{text} is no action: they are numbered from 0 to {live.problem.n_arms - 1}"
            )
    return one, size


def _range_of(given: Mapping[str, str]) -> tuple[float, float] | None:
    limits = range_of(given, "reward_low", "reward_high")
    return None if limits is None else (float(limits[0]), float(limits[1]))


def _weight_max(given: Mapping[str, str]) -> float | None:
    weight = number_of(given, "weight_max", "the largest weight")
    if weight is not None and weight < 1:
        raise FormError("weight_max", f"the largest weight is {weight:g}: weights average 1, so it is at least 1")
    return None if weight is None else float(weight)


@functools.cache
def _made() -> dict[str, Policy]:
    """Return each policy of the catalogue that needs no param."""
    made: dict[str, Policy] = {}
    for name in catalog.names():
        try:
            made[name] = catalog.make(name)
        except InvalidInput:  # it needs one, as a wrapper does: people write it
            continue
    return made


def _as_read(policy: Policy, problem: Problem) -> Problem:
    """Return the problem of a log as a policy reads it: named features as rows of numbers, where it reads no names."""
    if problem.layout != "named" or "named" in policy.contexts:
        return problem
    return replace(problem, context_shape=(problem.n_arms, DIMENSION), nonzeros=None)


def _fits(policy: Policy, problem: Problem) -> bool:
    try:
        check_fit(policy, _as_read(policy, problem))
    except InvalidInput:
        return False
    return True
