"""Queries as a kind of decision."""

from __future__ import annotations

from ....engine.choices import Queries
from ...experiment.compiling import compile_recommending
from ..arms import http as arms
from ..kind import Kind, Own
from . import http, problem
from .bodies import QueryDecision
from .changes import CHANGES, Concluded, concluded, recommend
from .forms import FORMS
from .gym import GYM
from .report import report, tally

QUERIES = Kind(
    name="queries",
    choice=Queries,
    plural="queries",
    does="has queries asked",
    read_problem=problem.read_problem,
    problem_json=problem.problem_json,
    default_policy=problem.default_policy,
    defaults=problem.DEFAULTS,
    kernels=compile_recommending,
    fields=frozenset({"eligible_actions", "excluded_actions"}),
    unread="the decision has {name}, but {id!r} asks queries: leave it out",
    request=http.request,
    check=arms.check,
    encode=http.encode,
    action=arms.action,
    answer=http.answer,
    answered=QueryDecision,
    record=http.record,
    reader=http.READER,
    read_feedback=http.read_feedback,
    feedback_on=arms.feedback_on,
    reward_record=http.reward_record,
    reward_exists=http.reward_exists,
    tally=tally,
    report=report,
    gym=GYM,
    forms=FORMS,
    decide_waits=True,
    gate=http.gate,
    no_examples="{id!r} asks queries within a budget: those of someone else are not learned from; decide, and send the "
    "answer",
    own=Own(begin=concluded),
    change_types=(Concluded,),
    changes=CHANGES,
    recommend=recommend,
)
