"""Vectors as a kind of decision."""

from __future__ import annotations

from ....engine.choices import Vectors
from ....engine.limits import limits_of
from ...experiment.compiling import compile_certifying
from ..kind import Kind, Own, Work
from . import http, problem
from .bodies import VectorDecision
from .changes import CHANGES
from .forms import FORMS
from .gym import GYM
from .report import regret_by_segment, report, tally

VECTORS = Kind(
    name="vector",
    choice=Vectors,
    plural="vectors",
    does="has vectors decided",
    read_problem=problem.read_problem,
    problem_json=problem.problem_json,
    default_policy=problem.default_policy,
    defaults=problem.DEFAULTS,
    kernels=compile_certifying,
    fields=frozenset({"context", "hint"}),
    unread="the decision has {name}, but {id!r} decides a vector: leave it out",
    request=http.request,
    check=http.check,
    encode=http.encode,
    action=http.action,
    answer=http.answer,
    answered=VectorDecision,
    record=http.record,
    reader=http.READER,
    read_feedback=http.read_feedback,
    feedback_on=http.feedback_on,
    reward_record=http.reward_record,
    reward_exists=http.reward_exists,
    tally=tally,
    report=report,
    regret_by_segment=regret_by_segment,
    gym=GYM,
    forms=FORMS,
    no_examples="{id!r} decides vectors: points of someone else are not learned from; decide, and reward",
    own=Own(begin=lambda spec, part, history: limits_of(spec.problem)),
    changes=CHANGES,
    sample=http.sample,
    certificate=Work.proof,
)
