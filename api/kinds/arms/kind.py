"""Arms as a kind of decision."""

from __future__ import annotations

from ....engine.choices import Arms
from ...experiment.compiling import compile_kernels
from ..kind import DECIDED_BY, Kind
from . import http, problem
from .bodies import ArmDecision
from .changes import CHANGES
from .forms import FORMS
from .gym import GYM
from .report import report, tally

ARMS = Kind(
    name="arms",
    choice=Arms,
    plural="arms",
    does="has arms that are all there",
    read_problem=problem.read_problem,
    problem_json=problem.problem_json,
    default_policy=problem.default_policy,
    defaults=problem.DEFAULTS,
    complete=problem.with_reward_max,
    kernels=compile_kernels,
    fields=frozenset(DECIDED_BY) - {"hint", "slots"},
    unread="the decision has a {name}, but {id!r} has arms: leave it out",
    request=http.request,
    check=http.check,
    explain=http.explained,
    encode=http.encode,
    action=http.action,
    answer=http.answer,
    answered=ArmDecision,
    record=http.record,
    decided_detail=http.EXPLANATION,
    reader=http.READER,
    read_feedback=http.read_feedback,
    feedback_on=http.feedback_on,
    reward_record=http.reward_record,
    reward_exists=http.reward_exists,
    tally=tally,
    report=report,
    has_rewards=True,
    has_windows=True,
    has_constraints=True,
    has_members=True,
    corrects=True,
    has_curve=True,
    gym=GYM,
    forms=FORMS,
    has_arms=True,
    sample=http.sample,
    external=http.external,
    changes=CHANGES,
    describe=lambda work: {"arms": list(work.roster.arms)},
)
