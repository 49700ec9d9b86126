"""Lists as a kind of decision: each slot gets one of the arms that are left, and has a reward of its own."""

from __future__ import annotations

from ....engine.choices import Lists
from ...experiment.compiling import compile_kernels
from ..arms import http as of_arms
from ..arms.changes import CHANGES
from ..arms.gym import GYM
from ..arms.problem import default_policy, with_reward_max
from ..arms.report import report, tally
from ..kind import DECIDED_BY, Kind, Several
from . import http, problem, slots
from .bodies import ListDecision
from .forms import FORMS
from .whole import WholeLists

LISTS = Kind(
    name="lists",
    choice=Lists,
    plural="lists",
    does="fills the slots of lists",
    read_problem=problem.read_problem,
    problem_json=problem.problem_json,
    default_policy=default_policy,
    defaults={},
    complete=with_reward_max,
    kernels=compile_kernels,
    fields=frozenset(DECIDED_BY) - {"hint", "state", "begins", "rank"},
    unread="the decision has a {name}, but {id!r} fills lists: leave it out",
    request=http.request,
    check=of_arms.check,
    explain=of_arms.explained,
    encode=http.encode,
    several=Several(slots.part, http.numbers, http.shares, http.goes_with, WholeLists),
    action=http.action,
    answer=http.answer,
    answered=ListDecision,
    record=http.record,
    decided_detail=http.DETAIL,
    reader=http.READER,
    read_feedback=http.read_feedback,
    feedback_on=http.feedback_on,
    reward_record=http.reward_record,
    reward_exists=http.reward_exists,
    tally=tally,
    report=report,
    has_rewards=True,
    has_windows=True,
    has_curve=True,
    has_arms=True,
    sample=of_arms.sample,
    slims=False,  # the details of its events say which slots are one list, and some may wait for their rewards
    gym=GYM,
    forms=FORMS,
    no_examples="{id!r} fills lists: examples that someone else made are of single decisions; leave them out",
    changes=CHANGES,
    describe=lambda work: {"arms": list(work.roster.arms)},
)
